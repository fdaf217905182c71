"""What runs inside a worker process: one training from config to result, watched; no Ray."""
