"""From a search space to the set of trainings and evaluations, and what of it is missing."""
