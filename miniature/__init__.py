"""A complete tiny world: rendered videos with questions and truth, and a teacher that looks at pixels."""
