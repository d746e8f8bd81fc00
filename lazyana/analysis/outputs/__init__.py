"""Outputs that are there already: merging them, and splitting them."""
