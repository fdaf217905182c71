"""Configuration files: the pydantic models and the only YAML reader."""
