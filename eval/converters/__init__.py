"""Converts the results of other toolkits to runs of ours, so that one report shows both."""
