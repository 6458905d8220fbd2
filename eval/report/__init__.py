"""Finished runs -> a page to look at, and tables in three forms; nothing is computed that the run folders do not hold."""
