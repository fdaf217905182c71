"""Frozen image encoders: one file per family, and what is known of each without building it."""
