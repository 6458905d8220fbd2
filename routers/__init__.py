"""The models: backbones, the two routers, allocation, compression systems, checkpoints, and the runtime that answers."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from routers.runtime import VideoRouter

__all__ = ["VideoRouter"]


def __getattr__(name: str) -> Any:
    # torch and transformers take seconds to import: only users of the model pay for them.
    if name == "VideoRouter":
        from routers.runtime import VideoRouter

        return VideoRouter
    raise AttributeError(f"module 'routers' has no attribute {name!r}")
