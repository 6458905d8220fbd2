"""The model that lmms-eval 0.7 makes of `--model videorouter --model_args model=FOLDER,system=...,budget=...`."""

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Unpack

import torch
from accelerate import Accelerator
from lmms_eval.api.instance import GenerationResult
from lmms_eval.api.model import lmms

from videorouter.eval.lmms_eval_plugin.requests import (
    VideoRequest,
    by_video,
    new_tokens,
    read_requests,
    until,
    wants_sampling,
)
from videorouter.routers.answering.answer import Answer, AskedQuestion
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.answering.watched_video import WatchedVideo
from videorouter.routers.backbones.loading_options import Loading
from videorouter.routers.backbones.prompt import SharedPrefix
from videorouter.routers.systems.base import CompressedVideo, System, encodes_on_demand
from videorouter.routers.systems.query import question_text
from videorouter.shards.policy import Policy


class VideoRouterModel(lmms):
    """A router folder with one of our systems, behind the interface of lmms-eval.

    A video is decoded and encoded once for all questions that a call brings about it, and questions for which the same tokens
    are kept continue from one another.
    """

    is_simple = True

    def __init__(
        self,
        model: str,
        system: str = "videorouter",
        budget: int | None = None,
        frames: int | None = None,
        policy: Policy | None = None,
        encoder: str | None = None,
        base: str | None = None,
        accept_base: bool = False,
        answers_out: str | None = None,
        batch_size: int | str = 1,
        max_batch_size: int | None = None,
        **loading: Unpack[Loading],
    ) -> None:
        """Load a router folder or Hub id `model`; options as in `VideoRouter.from_pretrained` and `.answer`.

        `system` may be in quotation marks, which it needs where its options hold a comma. Every answer with its tokens, policy
        and stage times is a JSON line of `answers_out`. `batch_size` is taken and says nothing: questions are answered one by
        one. Raises `ValueError` for an unknown system or an `answers_out` that exists.
        """
        super().__init__()
        accelerator = Accelerator()
        self._rank, self._world_size = accelerator.process_index, accelerator.num_processes
        if self._world_size > 1:
            self.accelerator = accelerator
        device = None if self._world_size > 1 else loading.get("device")
        self.device = torch.device(device or accelerator.device)
        self.answers_out = _own_file(answers_out, self._rank, self._world_size)
        loading["device"] = str(self.device)
        self.router = VideoRouter.from_pretrained(model, base=base, accept_base=accept_base, **loading)
        self.system, self.policy, self.encoder = str(system).strip("\"'"), policy, encoder
        self.budget, self.frames = budget, frames
        self._on_demand = encodes_on_demand(self.router.system(self.system, policy=policy, encoder=encoder))

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """Answers in the order of the requests, decoded greedily, cut at a task's stop strings."""
        asked = read_requests(requests, self.task_dict)
        if any(wants_sampling(request.more) for request in asked):
            warnings.warn("the task asks for sampling or beams: videorouter decodes greedily", stacklevel=2)
        texts = [""] * len(asked)
        for video, questions in by_video(asked).items():
            watched = self._watch(video)
            for limit in sorted({new_tokens(request.more) for request in questions}):
                those = [request for request in questions if new_tokens(request.more) == limit]
                answers = self.router.answer_all(
                    watched,
                    [request.asked for request in those],
                    self.budget,
                    self.policy,
                    self.system,
                    limit,
                    self.encoder,
                )
                for request, answer in zip(those, answers, strict=True):
                    texts[request.place] = until(answer.text, request.more)
                    self._note(request, answer)
        return texts

    def loglikelihood(self, requests: Sequence[Any]) -> list[GenerationResult]:
        """Of every continuation the mean loss a token, and whether greedy decoding gives it.

        A loss, not a likelihood: so do the models of lmms-eval 0.7, and its `multiple_choice` tasks choose the smallest. The pair
        is wrapped, because the evaluator of 0.7.3 makes a string of a bare one and then fails on it.
        """
        asked = read_requests(requests, self.task_dict)
        scores: dict[int, tuple[float, bool]] = {}
        for video, questions in by_video(asked).items():
            watched, shared = self._watch(video), SharedPrefix()
            system = self.router.system(self.system, policy=self.policy, encoder=self.encoder)
            likelihood = Likelihood(self.router, system, watched, self.budget, shared)
            for request in questions:
                scores[request.place] = likelihood.of(request.asked, str(request.more))
        return [GenerationResult(text=scores[place]) for place in range(len(asked))]

    def generate_until_multi_round(self, requests: Sequence[Any]) -> list[str]:
        """Not supported."""
        raise NotImplementedError("videorouter answers single questions: choose a task without rounds")

    def _watch(self, video: str) -> Any:
        return self.router.watch(video, frames=self.frames, on_demand=self._on_demand)

    def _note(self, request: VideoRequest, answer: Answer) -> None:
        if self.answers_out is None:
            return
        row = {
            "task": request.task,
            "doc_id": request.document,
            "video": request.video,
            "system": answer.system,
            "text": answer.text,
            "policy": answer.policy,
            "tokens": answer.tokens,
            "tokens_by_frame": answer.tokens_by_frame,
            "relevance": answer.relevance,
            "seconds_by_stage": answer.seconds_by_stage,
        }
        with self.answers_out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


@dataclass
class Likelihood:
    """How likely continuations are after questions about one video; a question's options share the tokens kept for it."""

    router: VideoRouter
    system: System
    watched: WatchedVideo
    budget: int | None
    shared: SharedPrefix
    _kept: dict[str, CompressedVideo] = field(default_factory=dict)

    @torch.no_grad()
    def of(self, asked: AskedQuestion, continuation: str) -> tuple[float, bool]:
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


def _own_file(path: str | None, rank: int, ranks: int) -> Path | None:
    if path is None:
        return None
    own = Path(path) if ranks == 1 else Path(path).with_suffix(f".{rank}{Path(path).suffix}")
    if own.exists():
        raise ValueError(f"{own} exists already: name another answers_out, runs are never mixed")
    own.parent.mkdir(parents=True, exist_ok=True)
    return own
