"""Stores results in MLflow; the only package that imports it. Only the driver writes."""
