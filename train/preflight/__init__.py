"""`videorouter train check`: what a training needs and what would stop it, worked out before its first step (ours)."""
