"""`--plan-out`: a line of JSON with a plan, and with the pictures that the base itself would be sent for as many tokens (ours)."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from videorouter.routers.answering.frame_pictures import frame_pictures
from videorouter.routers.answering.frame_plan import FramePlan
from videorouter.routers.cost.picture_cost import PictureCost


def append_plan(
    path: Path, plan: FramePlan, cost: PictureCost, video: str, question: str, options: Sequence[str] | None = None
) -> None:
    """Add a line of JSON to `path`, on disk when this returns.

    `cost` is what a picture costs in the plan's own base: `pictures` are those that cost at most the plan's tokens there, none
    where a single one costs more.
    """
    affordable = plan.tokens >= cost.least_frame(plan.height, plan.width)
    pictures = frame_pictures(plan, cost, plan.tokens) if affordable else []
    row = {
        "video": video,
        "question": question,
        "options": list(options) if options else None,
        **asdict(plan),
        "pictures": [asdict(picture) for picture in pictures],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
