"""Which values a search tries and when it stops; knows neither Ray nor the ledger's files."""
