"""What only `sweeper run` needs: placement, listening, retries, records for MLflow."""
