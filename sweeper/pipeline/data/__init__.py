"""Datasets: import, show and export, and the lookup of a store by its name."""
