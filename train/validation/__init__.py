"""What a validation measures, over all ranks, and the floor that words alone set (ours)."""
