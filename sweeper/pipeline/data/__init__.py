"""Datasets: import, show, export, and the way from a name to a store."""
