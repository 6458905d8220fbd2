"""A video file -> frames: decoders, samplers, typed verdicts."""
