"""Shared parts of the image methods: harness, base augmentation, losses, randomness."""
