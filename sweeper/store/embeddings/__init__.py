"""Embedding stores: manifest first, then slices, each committed with its checksum."""
