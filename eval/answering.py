"""From the tokens that a system kept to its answer: the prompt, the model, the choice, and the seconds of each."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import torch

from eval.controls import prompt_without_video
from routers.answers import letters, parse_choice
from routers.backbones import SharedPrefix
from routers.backbones.base import Backbone
from routers.backbones.prompt import Prompt
from routers.prompts import question_text
from routers.systems import CompressedVideo, Query

Scoring = Literal["likelihood", "generate"]

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
    """One answer each, several from one pass of the model; `shared` remembers a video's prompt, for one question alone.

    `scoring`: `likelihood` takes the option letter of highest logit (works with any base, also an untrained one);
    `generate` parses generated text.
    """
    started = time.perf_counter()
    prompts = [_prompt(backbone, kept, query) for kept, query in asked]
    built = time.perf_counter()
    if scoring == "generate":
        if len(prompts) == 1:
            generated = [backbone.generate(prompts[0], MOST_NEW_TOKENS, shared=shared)]
        else:
            generated = backbone.generate_together(prompts, MOST_NEW_TOKENS)
        own = (built - started) / len(prompts)
        return [
            Answer(one.text, parse_choice(one.text, _options(query)), own + one.prefill_seconds, one.generate_seconds)
            for one, (_, query) in zip(generated, asked, strict=True)
        ]
    if len(prompts) == 1:
        logits = [backbone.next_token_logits(prompts[0], shared=shared)]
    else:
        logits = list(backbone.next_token_logits_together(prompts))
    choices = []
    for scores, (_, query) in zip(logits, asked, strict=True):
        names = letters(_options(query))
        choices.append(names[int(scores[[backbone.token_id(name) for name in names]].argmax())])
    seconds = (time.perf_counter() - started) / len(prompts)
    return [Answer(choice, choice, seconds, 0.0) for choice in choices]


def _prompt(backbone: Backbone, kept: CompressedVideo, query: Query) -> Prompt:
    text = question_text(query)
    if kept.tokens:
        return backbone.embed_prompt(kept, text, query.seconds, query.between)
    return prompt_without_video(backbone, "".join(query.between or ()) + text)


def _options(query: Query) -> Sequence[str]:
    assert query.options is not None
    return query.options
