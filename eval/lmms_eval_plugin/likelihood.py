"""How likely a continuation is after a compressed video and a question."""

from dataclasses import dataclass, field

import torch

from videorouter.routers.backbones import SharedPrefix
from videorouter.routers.prompts import question_text
from videorouter.routers.runtime import Asked, VideoRouter
from videorouter.routers.systems.base import CompressedVideo, System
from videorouter.routers.watched_video import WatchedVideo


@dataclass
class Likelihood:
    """Continuations after questions about one video; a question's options are scored with the tokens kept for it once."""

    router: VideoRouter
    system: System
    watched: WatchedVideo
    budget: int | None
    shared: SharedPrefix
    _kept: dict[str, CompressedVideo] = field(default_factory=dict)

    @torch.no_grad()
    def of(self, asked: Asked, continuation: str) -> tuple[float, bool]:
        """Mean negative log-likelihood of the continuation's tokens, and whether each is the likeliest."""
        backbone = self.router.backbone
        query = self.watched.query(asked.question, tuple(asked.options) if asked.options else None, text=asked.text)
        text = question_text(query)
        if text not in self._kept:
            budget = self.budget or self.router.config.budget
            self._kept = {text: self.system.compress(self.watched.tokens, query, budget)}  # type: ignore[arg-type]
        prompt = backbone.embed_prompt(self._kept[text], text, self.watched.seconds)
        ids = backbone.tokenizer(continuation, add_special_tokens=False).input_ids
        if not ids:
            raise ValueError(f"the continuation {continuation!r} has no tokens in the model's tokenizer")
        embedded = backbone.embed_text(continuation)
        losses, greedy = [], True
        for place, token in enumerate(ids):
            so_far = prompt.followed_by(embedded[:place]) if place else prompt
            logits = backbone.next_token_logits(so_far, shared=self.shared).float()
            losses.append(-float(logits.log_softmax(-1)[token]))
            greedy = greedy and int(logits.argmax()) == token
        return sum(losses) / len(losses), greedy
