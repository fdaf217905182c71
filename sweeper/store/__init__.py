"""Everything stored on disk; the only package that imports Zarr."""
