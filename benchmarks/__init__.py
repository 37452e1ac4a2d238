"""Measures the product against the limit of what its servers can do, in the same run on the same servers."""
