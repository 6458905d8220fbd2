"""What is asked of the model: frames, budget, question, and how often the routers decide what."""

from dataclasses import dataclass, field

from videorouter.routers.allocation import Scales, scaled_tokens
from videorouter.shards.policy import Policy


@dataclass(frozen=True)
class Workload:
    """One question about one video, or the mean of many.

    `fragment` is the share of questions routed to `fragment`, `relevant` the share of frames found relevant under it. The
    defaults are what the published mean token counts imply: 61.7 % and 17.6 of 64. `label_tokens` stand around each frame
    (`Frame-12: <img>..</img>` and a line break; 8.9 on average with InternVL3's tokenizer), `text_tokens` are the rest of
    the prompt, question included; the routers read `question_tokens`. `router_pool` divides the tokens a frame has for the
    Image Router (ours; 1 is the paper's).
    """

    frames: int = 64
    budget: int = 12_288
    scales: Scales = field(default_factory=Scales)
    fragment: float = 0.617
    relevant: float = 17.6 / 64
    question_tokens: int = 40
    text_tokens: int = 60
    label_tokens: int = 9
    shadow_layers: int = 4
    router_pool: int = 1
    frames_at_once: int = 32

    def __post_init__(self) -> None:
        for name in ("fragment", "relevant"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share between 0 and 1, not {getattr(self, name)}")
        for name in ("frames", "budget", "question_tokens", "shadow_layers", "router_pool", "frames_at_once"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")

    def kept(self, policy: Policy, tokens_per_frame: int) -> tuple[float, float]:
        """(frames, visual tokens) fed under `policy`: `allocation.allocate`, except that means may be fractions of frames.

        Raises `ValueError` for a scale that `tokens_per_frame` does not allow.
        """
        if policy == "global":
            cost = scaled_tokens(tokens_per_frame, self.scales.global_scale)
            frames: float = min(self.frames, self.budget // cost)
            return frames, frames * cost
        sharp = scaled_tokens(tokens_per_frame, self.scales.relevant_scale)
        coarse = scaled_tokens(tokens_per_frame, self.scales.irrelevant_scale)
        evidence = self.relevant * self.frames
        if evidence * sharp >= self.budget:
            frames = self.budget // sharp
            return frames, frames * sharp
        background = min(self.frames - evidence, (self.budget - evidence * sharp) // coarse)
        return evidence + background, evidence * sharp + background * coarse

    def prompt(self, frames: float, tokens: float) -> float:
        """Tokens of a whole prompt that feeds `tokens` visual tokens of `frames` frames."""
        return tokens + frames * self.label_tokens + self.text_tokens
