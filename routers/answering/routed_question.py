"""What of a video one question is given: a system's choice, how it came about, what it took (ours)."""

from dataclasses import dataclass, field

import torch

from videorouter.routers.answering.frame_plan import FramePlan
from videorouter.routers.answering.watched_video import WatchedVideo
from videorouter.routers.backbones.layout import ALONE, Dialogue
from videorouter.routers.backbones.prompt import Prompt
from videorouter.routers.backbones.protocol import Backbone
from videorouter.routers.systems.base import CompressedVideo
from videorouter.routers.systems.query import Query, question_text
from videorouter.shards.policy import Policy


@dataclass(frozen=True)
class RoutedQuestion:
    """A question with what a system `kept` of the watched video for it.

    `budget` is the most visual tokens that it might keep. `policy_probability`, and `relevance` in 0..1 one a frame, where the
    routers ran. `tokens_by_frame` counts kept tokens of each of the T frames. `route_seconds`, and `vision_seconds` of frames
    that were encoded on demand.
    """

    system: str
    query: Query
    watched: WatchedVideo
    kept: CompressedVideo
    budget: int
    policy_probability: float | None
    relevance: list[float] | None
    tokens_by_frame: list[int]
    route_seconds: float
    vision_seconds: float
    plan: FramePlan = field(repr=False)

    @property
    def policy(self) -> Policy | None:
        """The policy, where a router chose or was given one."""
        return self.kept.policy

    @property
    def dense_tokens(self) -> int:
        """Visual tokens of all frames in full."""
        rows, columns = self.watched.grid
        return len(self.watched.tokens) * rows * columns

    def prompt(self, backbone: Backbone, dialogue: Dialogue = ALONE) -> Prompt:
        """The chat prompt that asks the question about what was kept. Raises as `Backbone.embed_prompt`."""
        return backbone.embed_prompt(
            self.kept, question_text(self.query), self.watched.seconds, self.query.between, dialogue
        )


def prompt_without_video(backbone: Backbone, text: str, dialogue: Dialogue = ALONE) -> Prompt:
    """The chat prompt of a text alone, as the model's template words one. Raises as `Backbone.embed_message`."""
    embedded = backbone.embed_message(text, dialogue)
    return Prompt(embedded[None], torch.zeros(0, dtype=torch.int64, device=embedded.device))


def tokens_by_frame(kept: CompressedVideo, frames: int) -> list[int]:
    """Kept tokens of each of so many frames."""
    counts = [0] * frames
    for span in kept.spans:
        counts[span.frame] = span.tokens
    return counts
