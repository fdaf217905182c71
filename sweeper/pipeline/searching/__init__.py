"""The search stage of `sweeper run`: studies of a space, their records and winners."""
