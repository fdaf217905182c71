"""Image networks of the comparison methods, with a common interface."""
