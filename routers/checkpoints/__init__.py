"""Router folders: written, read, exported from training checkpoints, pushed to the Hub; which base they belong to."""
