"""Dataset stores: images, label maps and the case table."""
