"""Evaluation: benchmark -> systems at one budget -> predictions -> tables, plots and report page."""
