"""Everything that shapes weights: the epoch loop, schedule, loader, state, folds."""
