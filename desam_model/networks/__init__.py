"""Image networks of the comparison methods, behind one small interface."""
