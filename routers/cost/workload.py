"""What is asked of a model: one question about one video, or the mean of many."""

from dataclasses import dataclass, field

from videorouter.routers.routing.allocation import Scales, scaled_tokens
from videorouter.shards.policy import Policy


@dataclass(frozen=True)
class Workload:
    """One question about one video, or the mean of many.

    `fragment` is the share of questions routed to `fragment`, `relevant` the share of frames found relevant under it. The
    defaults are what the published mean token counts imply: 61.7 % and 17.6 of 64. `label_tokens` stand around each frame
    (InternVL's `Frame-12: <img>..</img>` and a line break; 8.9 on average with InternVL3's tokenizer); None is the family's own
    number. `text_tokens` are the rest of the prompt, question included; the routers read `question_tokens`. `router_pool` divides
    the tokens a frame has for the Image Router, `screen_side` is the side in pixels at which frames are encoded first (both ours;
    1 and None are the paper's). `video_seconds` is the video's length, which gives positions where M-RoPE counts time; None is
    one second a patch.
    """

    frames: int = 64
    budget: int = 12_288
    scales: Scales = field(default_factory=Scales)
    fragment: float = 0.617
    relevant: float = 17.6 / 64
    question_tokens: int = 40
    text_tokens: int = 60
    label_tokens: int | None = None
    shadow_layers: int = 4
    router_pool: int = 1
    frames_at_once: int = 32
    screen_side: int | None = None
    video_seconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("fragment", "relevant"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share between 0 and 1, not {getattr(self, name)}")
        for name in ("frames", "budget", "question_tokens", "shadow_layers", "router_pool", "frames_at_once"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("text_tokens", "label_tokens"):
            if (value := getattr(self, name)) is not None and value < 0:
                raise ValueError(f"{name} must be at least 0, not {value}")
        if self.video_seconds is not None and self.video_seconds < 0:
            raise ValueError(f"video_seconds must be at least 0, not {self.video_seconds}")

    def units(self, frames_per_patch: int) -> int:
        """What the model counts as frames: patches where it merges `frames_per_patch` sampled frames into one."""
        return -(-self.frames // frames_per_patch)

    def kept_by_scale(
        self, policy: Policy, tokens_per_frame: int, frames_per_patch: int = 1
    ) -> list[tuple[int, float, float]]:
        """(scale, frames, visual tokens) fed under `policy`: `allocation.allocate`, except that means may be fractions of frames.

        "Frames" are patches where the model merges them. Raises `ValueError` for a scale that `tokens_per_frame` does not allow.
        """
        units, scales = self.units(frames_per_patch), self.scales
        if policy == "global":
            cost = scaled_tokens(tokens_per_frame, scales.global_scale)
            self._check_budget(cost)
            frames: float = min(units, self.budget // cost)
            return [(scales.global_scale, frames, frames * cost)]
        sharp = scaled_tokens(tokens_per_frame, scales.relevant_scale)
        coarse = scaled_tokens(tokens_per_frame, scales.irrelevant_scale)
        self._check_budget(sharp)
        evidence = self.relevant * units
        if evidence * sharp >= self.budget:
            frames = self.budget // sharp
            return [(scales.relevant_scale, frames, frames * sharp)]
        background = min(units - evidence, (self.budget - evidence * sharp) // coarse)
        return [
            (scales.relevant_scale, evidence, evidence * sharp),
            (scales.irrelevant_scale, background, background * coarse),
        ]

    def _check_budget(self, frame: int) -> None:
        if self.budget < frame:
            raise ValueError(f"a budget of {self.budget} tokens cannot hold one frame of {frame}")

    def kept(self, policy: Policy, tokens_per_frame: int, frames_per_patch: int = 1) -> tuple[float, float]:
        """(frames, visual tokens) fed under `policy`, of all scales together. Raises as `kept_by_scale`."""
        by_scale = self.kept_by_scale(policy, tokens_per_frame, frames_per_patch)
        return sum(frames for _, frames, _ in by_scale), sum(tokens for _, _, tokens in by_scale)

    @property
    def policies(self) -> list[tuple[Policy, float]]:
        """Each policy with its share of the questions, those that none has left out."""
        mix: list[tuple[Policy, float]] = [("fragment", self.fragment), ("global", 1 - self.fragment)]
        return [(policy, share) for policy, share in mix if share]
