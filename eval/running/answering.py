"""From the tokens that a system kept to an answer: the prompt, the model, the option chosen, and the seconds of each."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch

from videorouter.eval.config import Scoring
from videorouter.routers.answering.parser import parse_choice
from videorouter.routers.answering.routed_question import prompt_without_video
from videorouter.routers.backbones.prompt import Prompt, SharedPrefix
from videorouter.routers.backbones.protocol import Backbone, Engine, Generated
from videorouter.routers.systems.base import CompressedVideo
from videorouter.routers.systems.query import Query, cached, letters, question_text

MOST_NEW_TOKENS: Final = 32


@dataclass(frozen=True)
class Answer:
    """The text, the option letter that it means (None where it is unclear), and seconds of prefill, building the prompt included,
    and of generation; those of a batch are divided equally."""

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
    engine: Engine | None = None,
) -> list[Answer]:
    """An answer to each question, several generated in one batch; `shared` remembers a video's prompt.

    `engine` generates in place of the backbone, which then only embeds; it gives no likelihoods.

    `scoring`: `likelihood` takes the option letter of highest logit (works with any base, also an untrained one);
    `generate` parses generated text. A question with a `cache`, asked alone, is not answered twice from the same prompt; the
    seconds are then those of the one pass there was.
    """
    started = time.perf_counter()
    prompts = [_prompt(backbone, kept, query) for kept, query in asked]
    prompt_seconds = (time.perf_counter() - started) / len(prompts)
    queries = [query for _, query in asked]
    if scoring == "generate" and len(prompts) > 1:
        written = (engine or backbone).generate_together(prompts, MOST_NEW_TOKENS, shared=shared)
        found = [_parsed(one, query) for one, query in zip(written, queries, strict=True)]
    else:
        found = [
            _one_answer(backbone, scoring, prompt, query, shared, engine)
            for prompt, query in zip(prompts, queries, strict=True)
        ]
    return [replace(answer, prefill_seconds=prompt_seconds + answer.prefill_seconds) for answer in found]


def _one_answer(
    backbone: Backbone,
    scoring: Scoring,
    prompt: Prompt,
    query: Query,
    shared: SharedPrefix | None,
    engine: Engine | None,
) -> Answer:
    if query.cache is None:  # a digest copies the prompt from the device
        return _forward_pass(backbone, scoring, prompt, query, shared, engine)
    key = ("answer", scoring, prompt.digest())
    return cached(query.cache, key, lambda: _forward_pass(backbone, scoring, prompt, query, shared, engine))


def _forward_pass(
    backbone: Backbone,
    scoring: Scoring,
    prompt: Prompt,
    query: Query,
    shared: SharedPrefix | None,
    engine: Engine | None,
) -> Answer:
    if scoring == "generate":
        return _parsed((engine or backbone).generate(prompt, MOST_NEW_TOKENS, shared=shared), query)
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
