"""From folders of scans to a checked dataset: layouts, preprocessing, checks, the phantom."""
