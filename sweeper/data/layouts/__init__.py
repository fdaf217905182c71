"""Layouts of source folders: one file per layout, and the registry that tells them apart."""
