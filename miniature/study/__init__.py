"""Accuracy against tokens on the miniature world: the study, its probes of information and of leaks, its plot and table."""
