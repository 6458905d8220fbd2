"""What a training saves, keeps and begins with (ours)."""
