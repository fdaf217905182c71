"""`sweeper predict` and `sweeper export`: trained models leave the table."""
