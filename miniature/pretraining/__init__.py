"""How the miniature bases are made: sight first, then language over what is seen, then thinned frames."""
