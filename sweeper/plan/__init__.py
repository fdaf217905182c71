"""Plans: the trainings and evaluations of a search space, their identities and their states."""
