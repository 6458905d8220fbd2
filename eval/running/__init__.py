"""A run: systems answer the questions of a benchmark at equal tokens, and every answer is recorded."""
