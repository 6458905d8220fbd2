"""Partial loading: what the routers need of a checkpoint, and no other byte of it."""

from videorouter.routers.partial.early import EarlyModel, load_early

__all__ = ["EarlyModel", "load_early"]
