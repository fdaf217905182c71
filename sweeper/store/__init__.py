"""What is kept on disk: the only place that imports Zarr."""
