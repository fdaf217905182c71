"""Everything that shapes numbers: prediction of cases, clean-up, protocols, metrics."""
