"""Sweeps for DeSAM and its comparison methods in single-source domain generalization."""

__version__ = "0.1.0"
