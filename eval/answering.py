"""From the tokens that a system kept to its answer: the prompt, the model, the choice, and the seconds of each."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch

from videorouter.eval.config import Scoring
from videorouter.eval.controls import prompt_without_video
from videorouter.routers.answers import letters, parse_choice
from videorouter.routers.backbones import SharedPrefix
from videorouter.routers.backbones.base import Backbone, Generated
from videorouter.routers.backbones.prompt import Prompt
from videorouter.routers.prompts import question_text
from videorouter.routers.systems.base import CompressedVideo
from videorouter.routers.systems.looks import looked
from videorouter.routers.systems.query import Query

MOST_NEW_TOKENS: Final = 32


@dataclass(frozen=True)
class Answer:
    """What was said, the option letter it means (None where none can be told), and seconds of prefill, prompt included, and of
    generation; those of a batch are shared out equally."""

    text: str
    choice: str | None
    prefill_seconds: float
    generate_seconds: float


@torch.no_grad()
def answers(
    backbone: Backbone,
    scoring: Scoring,
    asked: Sequence[tuple[CompressedVideo, Query]],
    shared: SharedPrefix | None = None,
) -> list[Answer]:
    """One answer each, several generated at once; `shared` remembers a video's prompt.

    `scoring`: `likelihood` takes the option letter of highest logit (works with any base, also an untrained one);
    `generate` parses generated text. A question with `looks`, asked alone, is not answered twice from the same prompt; the
    seconds are then those of the pass there was.
    """
    started = time.perf_counter()
    prompts = [_prompt(backbone, kept, query) for kept, query in asked]
    building = (time.perf_counter() - started) / len(prompts)
    queries = [query for _, query in asked]
    if scoring == "generate" and len(prompts) > 1:
        written = backbone.generate_together(prompts, MOST_NEW_TOKENS, shared=shared)
        found = [_parsed(one, query) for one, query in zip(written, queries, strict=True)]
    else:
        found = [
            _alone(backbone, scoring, prompt, query, shared) for prompt, query in zip(prompts, queries, strict=True)
        ]
    return [replace(answer, prefill_seconds=building + answer.prefill_seconds) for answer in found]


def _alone(backbone: Backbone, scoring: Scoring, prompt: Prompt, query: Query, shared: SharedPrefix | None) -> Answer:
    if query.looks is None:  # a digest copies the prompt from the device
        return _pass(backbone, scoring, prompt, query, shared)
    key = ("answer", scoring, prompt.digest())
    return looked(query.looks, key, lambda: _pass(backbone, scoring, prompt, query, shared))


def _pass(backbone: Backbone, scoring: Scoring, prompt: Prompt, query: Query, shared: SharedPrefix | None) -> Answer:
    if scoring == "generate":
        return _parsed(backbone.generate(prompt, MOST_NEW_TOKENS, shared=shared), query)
    started = time.perf_counter()
    logits, names = backbone.next_token_logits(prompt, shared=shared), letters(_options(query))
    choice = names[int(logits[[backbone.token_id(name) for name in names]].argmax())]
    return Answer(choice, choice, time.perf_counter() - started, 0.0)


def _parsed(made: Generated, query: Query) -> Answer:
    return Answer(made.text, parse_choice(made.text, _options(query)), made.prefill_seconds, made.generate_seconds)


def _prompt(backbone: Backbone, kept: CompressedVideo, query: Query) -> Prompt:
    text = question_text(query)
    if kept.tokens:
        return backbone.embed_prompt(kept, text, query.seconds, query.between)
    return prompt_without_video(backbone, "".join(query.between or ()) + text)


def _options(query: Query) -> Sequence[str]:
    assert query.options is not None
    return query.options
