"""Other tools on the same work, on the same servers, in turn with the product."""
