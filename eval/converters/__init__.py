"""Results of other toolkits become runs of ours, so that one report shows both."""
