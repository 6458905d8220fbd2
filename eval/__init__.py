"""Evaluation: benchmark -> systems at one budget -> predictions -> tables and plots."""
