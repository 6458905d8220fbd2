"""Which systems a server can be asked for, and whether its own defaults can answer anything (ours)."""

from typing import Final

from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.backbones.early_loading import loaded_early
from videorouter.routers.backbones.protocol import Backbone
from videorouter.routers.cost.picture_cost import PictureCost
from videorouter.routers.systems.base import System, drops_tokens, least_budget, reads_attention
from videorouter.serve.config import ServeConfig

SHAPES: Final = ((9 / 16, 1), (3 / 4, 1), (1, 1), (1, 9 / 16))
"""Height and width of usual videos, as shares of the longer side."""


def check_can_be_asked(system: System, backbone: Backbone, *, keeps_frames: bool) -> None:
    """Raise `ValueError` for a system that no request can have: it says why, and what to do.

    `keeps_frames` says that frames are sent as pictures.
    """
    if system.kind == "bound":
        raise ValueError(f"{system.name} is told the truth by a benchmark, which no request holds: take another system")
    if keeps_frames and drops_tokens(system):
        raise ValueError(
            f"{system.name} drops tokens inside frames, which pictures cannot show: ask for videorouter, or another "
            "system that keeps frames whole"
        )
    if reads_attention(system) and loaded_early(backbone):
        raise ValueError(
            f"{system.name} reads the attention of the whole base, of which only the first layers are loaded here: "
            "take another system, or start the server with --whole_base"
        )


def check_defaults(config: ServeConfig, router: VideoRouter, pictures: PictureCost | None) -> None:
    """Raise `ValueError` where requests that name no system and no budget would all be refused, or some for the budget alone.

    `pictures` is what one costs at the upstream, where frames are sent as pictures.
    """
    assert config.system is not None
    system = router.system(config.system, encoder=config.encoder)
    check_can_be_asked(system, router.backbone, keeps_frames=pictures is not None)
    budget = config.budget or router.config.budget
    if system.budgeted and router.backbone.grid is not None:  # at their own aspect ratio the video decides
        least = least_budget(system, router.backbone.tokens_per_frame)
        if budget < least:
            raise ValueError(
                f"a budget of {budget} tokens does not hold one frame as {system.name} keeps them: "
                f"give --budget {least} or more"
            )
    if pictures is not None:
        side = config.picture_side
        sizes = ((max(1, round(side * height)), max(1, round(side * width))) for height, width in SHAPES)
        least = min(pictures.least_frame(*size) for size in sizes)
        if budget < least:
            raise ValueError(
                f"a budget of {budget} tokens pays for no picture at the upstream, where one costs {least}: "
                f"give --budget {least} or more"
            )
