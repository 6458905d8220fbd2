"""Dataset construction: annotations + videos + teacher -> labelled shards."""
