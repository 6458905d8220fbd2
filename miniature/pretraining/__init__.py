"""How the miniature bases are made: vision first, then language over what is seen, then compressed frames."""
