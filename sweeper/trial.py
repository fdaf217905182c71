"""One training from config to result: no Ray, no MLflow."""
