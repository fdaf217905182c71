"""Everything that is read from a file: pydantic models and the only YAML reader."""
