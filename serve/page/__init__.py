"""The page at `/`, plain files served as they are, and what it offers to ask."""
