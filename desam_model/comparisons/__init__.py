"""The methods DeSAM is compared with, one paper per file."""
