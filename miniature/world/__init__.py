"""The world: what a frame is made of, scenes, questions about them and their wordings, rendered to videos with the truth apart."""
