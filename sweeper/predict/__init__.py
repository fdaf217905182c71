"""Trained models segment images that were never imported: models, ensembles and model folders."""
