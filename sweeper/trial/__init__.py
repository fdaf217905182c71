"""Code of a worker process: one training from config to result, with a watchdog; no Ray."""
