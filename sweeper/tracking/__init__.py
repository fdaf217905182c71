"""What is kept in MLflow: the only place that imports it; the driver is the only writer."""
