"""The main job run through its commands: as a demo, on real clips, for the shipped bases, and killed again and again."""
