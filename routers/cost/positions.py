"""Where a prompt's positions end, and what the model was made for: the length at which `answer` warns and at which it refuses."""

import math
from dataclasses import dataclass
from typing import Any

from videorouter.routers.backbones.rope import longest_prompt, rope_type
from videorouter.routers.cost.geometry import Geometry
from videorouter.routers.cost.workload import Workload


@dataclass(frozen=True)
class Limits:
    """Positions that a model was made for, and those beyond which a prompt is refused; `dynamic` where rotary scaling is."""

    made_for: int
    refused_beyond: int
    dynamic: bool

    def told(self, system: str, positions: int) -> str | None:
        """What to say of a prompt of `system` that takes `positions`; None where there are as many."""
        if positions <= self.made_for:
            return None
        told = (
            f"{system}: a prompt of {positions:,} positions is beyond the {self.made_for:,} that the model was made for"
        )
        if positions > self.refused_beyond:
            reach = f" and its dynamic scaling reaches {self.refused_beyond:,}" if self.dynamic else ""
            return f"{told}{reach}: `answer` refuses it without --long_prompts"
        return f"{told}: its dynamic scaling reaches {self.refused_beyond:,}" if self.dynamic else told


def limits_of(text: Any) -> Limits | None:
    """Of a text config; None where it names no limit."""
    most = longest_prompt(text)
    return None if most is None else Limits(int(text.max_position_embeddings), most, rope_type(text) == "dynamic")


def positions_of(geometry: Geometry, workload: Workload, prompt: float) -> int:
    """Positions that a prompt of `prompt` tokens takes: the highest one plus one, an upper bound where text is on both sides.

    Under M-RoPE the whole video is laid out, whatever is kept of it, so that dense and routed prompts end alike.
    """
    if geometry.positions == "tokens":
        return math.ceil(prompt)
    vision = geometry.vision
    units, longer = workload.units(vision.frames_per_patch), max(vision.grid)
    labels = geometry.label_tokens if workload.label_tokens is None else workload.label_tokens
    text = workload.text_tokens + geometry.video_tokens + units * labels
    if geometry.positions == "frames":
        return text + units * longer
    seconds = 1.0 if workload.video_seconds is None else workload.video_seconds / units
    return text + max(longer, int((units - 1) * seconds * geometry.per_second) + 1)
