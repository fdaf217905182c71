"""Training: the epoch loop, schedule, data loader, checkpoint state and folds."""
