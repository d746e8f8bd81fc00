"""The Program: an analysis as data, and the passes that rewrite it."""
