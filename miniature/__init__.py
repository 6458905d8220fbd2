"""A complete tiny world: rendered videos with questions and truth, a teacher that looks at pixels, small base models."""
