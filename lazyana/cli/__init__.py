"""The command line: a thin mirror of the functions."""
