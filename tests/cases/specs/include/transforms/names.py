"""Transforms of the test cases."""


def upper_titles(batch):
    """Upper-case titles."""
    return batch
