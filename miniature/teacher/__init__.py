"""A teacher that looks at pictures of the world: template matching, answers and captions, faults on purpose, an HTTP server."""
