"""The methods that DeSAM is compared with, one paper per file."""
