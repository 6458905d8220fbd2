"""How weights change: rates, groups of tensors, and the strategies that divide them among ranks (ours)."""
