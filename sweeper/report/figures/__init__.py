"""Figures and pictures of cases."""
