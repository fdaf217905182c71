"""Scoring: prediction of cases, clean-up of masks, protocols and metrics."""
