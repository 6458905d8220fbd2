"""Compression systems: one file each, one registry."""
