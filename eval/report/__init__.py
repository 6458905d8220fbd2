"""Finished runs -> a page, and tables in three formats; everything is computed from the run folders alone."""
