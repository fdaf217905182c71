"""The synthetic data that stands in where no dataset is named."""
