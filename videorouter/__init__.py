"""VideoRouter: query-adaptive routing of visual tokens for long-video models.

The public interface: these names are kept from version to version, and each is imported when it is first used, so that
questions can be read without waiting for torch. docs/interface.md says what belongs to it and why. Everything else is
reached as `videorouter.PACKAGE...` and may move.
"""

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videorouter.routers.answering.answer import Answer
    from videorouter.routers.answering.parser import parse_choice
    from videorouter.routers.answering.video_router import VideoRouter
    from videorouter.routers.answering.watched_video import WatchedVideo
    from videorouter.routers.backbones.loading import load_backbone
    from videorouter.routers.backbones.protocol import Backbone
    from videorouter.routers.checkpoints.base_identity import CheckpointError
    from videorouter.routers.systems.base import CompressedVideo, System
    from videorouter.routers.systems.query import Query
    from videorouter.routers.systems.registry import SYSTEMS, build_system
    from videorouter.shards.errors import ShardError
    from videorouter.shards.loader import EpochLoader
    from videorouter.shards.reader import ShardDataset
    from videorouter.shards.sample import ShardSample
    from videorouter.shards.schema import FrameRelevance, LabelledQuestion, PolicyLabel, VideoQuestion, VideoRecord
    from videorouter.video.decode import sample_frames
    from videorouter.video.errors import VideoError
    from videorouter.video.frames import SampledFrames

__version__ = "0.2.0"

__all__ = [
    "SYSTEMS",
    "Answer",
    "Backbone",
    "CheckpointError",
    "CompressedVideo",
    "EpochLoader",
    "FrameRelevance",
    "LabelledQuestion",
    "PolicyLabel",
    "Query",
    "SampledFrames",
    "ShardDataset",
    "ShardError",
    "ShardSample",
    "System",
    "VideoError",
    "VideoQuestion",
    "VideoRecord",
    "VideoRouter",
    "WatchedVideo",
    "__version__",
    "build_system",
    "load_backbone",
    "parse_choice",
    "sample_frames",
]

_DEFINED_IN = {
    "routers.answering.parser": ("parse_choice",),
    "routers.answering.answer": ("Answer",),
    "routers.answering.video_router": ("VideoRouter",),
    "routers.answering.watched_video": ("WatchedVideo",),
    "routers.backbones.loading": ("load_backbone",),
    "routers.backbones.protocol": ("Backbone",),
    "routers.checkpoints.base_identity": ("CheckpointError",),
    "routers.systems.registry": ("SYSTEMS", "build_system"),
    "routers.systems.base": ("CompressedVideo", "System"),
    "routers.systems.query": ("Query",),
    "shards.errors": ("ShardError",),
    "shards.loader": ("EpochLoader",),
    "shards.reader": ("ShardDataset",),
    "shards.sample": ("ShardSample",),
    "shards.schema": ("FrameRelevance", "LabelledQuestion", "PolicyLabel", "VideoQuestion", "VideoRecord"),
    "video.decode": ("sample_frames",),
    "video.errors": ("VideoError",),
    "video.frames": ("SampledFrames",),
}
_PLACE = {name: module for module, names in _DEFINED_IN.items() for name in names}

if (Path(__file__).parent / "routers").is_file():
    _told = "this checkout has no symbolic links: run 'git config core.symlinks true && git checkout -- videorouter'"
    if sys.argv[0] == "-m" or Path(sys.argv[0]).stem == "videorouter":
        sys.exit(_told)
    raise ImportError(_told)


if not TYPE_CHECKING:  # a type checker reads the imports above, and a name that is not there is an error to it

    def __getattr__(name: str) -> Any:
        if name not in _PLACE:
            raise AttributeError(f"module 'videorouter' has no attribute {name!r}: it has {', '.join(__all__)}")
        found = getattr(import_module(f"videorouter.{_PLACE[name]}"), name)
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        return sorted(__all__)
