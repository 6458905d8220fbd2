"""Answers about videos: the runtime, what it watched, the parser of what the model said, the plan of frames."""
