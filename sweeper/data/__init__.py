"""Imports folders of scans as checked datasets: layouts, preprocessing, checks, phantoms."""
