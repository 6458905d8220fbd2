"""Video models, one file a family, behind one protocol; early loading, prompts, decoding, and where frames and tokens come from."""
