"""Which values a search tries and when it stops: Optuna; neither Ray nor the ledger's files."""
