"""`sweeper bundle` and `sweeper verify`: a sweep's results as one file, and its check."""
