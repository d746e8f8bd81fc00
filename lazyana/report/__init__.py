"""Plots and tables of what came back."""
