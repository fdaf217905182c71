"""Frozen image encoders: one file per family, and a registry of their sizes."""
