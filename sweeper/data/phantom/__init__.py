"""Synthetic datasets, used if no dataset is named."""
