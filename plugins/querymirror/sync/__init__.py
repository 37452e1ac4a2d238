"""The steps of a cycle, one verb each, over the protocols of sources, targets and state."""
