"""Benchmarks: one file each, from their own layout on disk to `Item`s."""
