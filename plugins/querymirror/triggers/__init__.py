"""Triggers: what runs in the triggerer, so that a quiet pipeline starts no worker."""
