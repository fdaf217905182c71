"""What the image methods share: harness, base augmentation, losses, randomness."""
