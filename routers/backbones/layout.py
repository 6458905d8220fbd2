"""A chat prompt cut into the pieces that belong to frames and those that do not, and what is written between frames (ours)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from jinja2 import TemplateError
from torch import Tensor

NO_FRAME = -1


@dataclass(frozen=True)
class Layout:
    """K tokens: `ids` `[K]`, `owners` `[K]` the frame each speaks of or `NO_FRAME`, `placeholder` bool `[K]` for visual tokens."""

    ids: Tensor
    owners: Tensor
    placeholder: Tensor

    def expanded(self, counts: Tensor) -> "Layout":
        """Each placeholder repeated as often as `counts`, one entry a placeholder, says."""
        repeats = torch.ones_like(self.ids)
        repeats[self.placeholder] = counts
        return Layout(*(part.repeat_interleave(repeats) for part in (self.ids, self.owners, self.placeholder)))

    def picked(self, places: Tensor) -> "Layout":
        """The tokens at `places` alone."""
        return Layout(self.ids[places], self.owners[places], self.placeholder[places])


@dataclass(frozen=True)
class Dialogue:
    """What is said around the user message that shows the video, as (role, text): turns `before` it and `after` it.

    `system` is what the system says first; None is what the model's template writes by itself.
    """

    system: str | None = None
    before: tuple[tuple[str, str], ...] = ()
    after: tuple[tuple[str, str], ...] = ()


ALONE: Final = Dialogue()
"""One user message and nothing else."""


def lay_out(tokenizer: Any, pieces: Sequence[tuple[int, str]], placeholder_id: int, around: Dialogue = ALONE) -> Layout:
    """Tokenise (owner, text) `pieces` as one user message in the tokenizer's chat template, on the CPU.

    A token belongs to the piece in which it begins. `around` and errors as `chat_prompt`; raises `ValueError` as well for text
    that holds the placeholder.
    """
    content = "".join(text for _, text in pieces)
    prompt = chat_prompt(tokenizer, content, around)
    encoded = tokenised(tokenizer, prompt, return_offsets_mapping=True)
    begins = torch.tensor([begin for begin, _ in encoded.offset_mapping])
    stripped = len(content) - len(content.lstrip())  # by `chat_prompt`
    lengths = [_place_of(content.strip(), prompt, around) - stripped, *(len(text) for _, text in pieces)]
    owners = torch.tensor([NO_FRAME, *(owner for owner, _ in pieces), NO_FRAME])
    ids = torch.tensor(encoded.input_ids)
    owner = owners[torch.bucketize(begins, torch.tensor(lengths).cumsum(0), right=True)]
    placeholder = ids == placeholder_id
    if (owner[placeholder] == NO_FRAME).any():
        raise ValueError(
            f"the text holds {tokenizer.convert_ids_to_tokens(placeholder_id)!r}, which stands for visual tokens"
        )
    return Layout(ids, owner, placeholder)


def chat_prompt(tokenizer: Any, content: str, around: Dialogue = ALONE) -> str:
    """A user message in the chat template, amid what is said `around` it, up to where the answer begins.

    Templates want messages as strings or as lists of parts. Raises `ValueError` for one that shows them in neither form, and for
    turns in an order that it does not take.
    """
    said = [*around.before, ("user", content), *around.after]
    if around.system is not None:
        said.insert(0, ("system", around.system))
    said = [(role, text.strip()) for role, text in said]  # as many templates do
    for form in (lambda text: text, lambda text: [{"type": "text", "text": text}]):
        messages = [{"role": role, "content": form(text)} for role, text in said]
        prompt = _templated(tokenizer, messages)
        if all(
            text in prompt for role, text in said if role != "assistant"
        ):  # of whose turns templates leave thoughts out
            return prompt
    raise ValueError(
        f"the chat template of {tokenizer.name_or_path} leaves out what a {' or a '.join(dict(said))} says"
    )


def _place_of(content: str, prompt: str, around: Dialogue) -> int:
    """Where a message begins in a prompt: behind what was said before it, which may hold the same words."""
    behind = 0
    for text in ([] if around.system is None else [around.system]) + [text for _, text in around.before]:
        found = prompt.find(text.strip(), behind)
        behind = behind if found < 0 else found + len(text.strip())
    return prompt.index(content, behind)


def _templated(tokenizer: Any, messages: Any) -> str:
    if tokenizer.chat_template is None:
        raise ValueError(
            f"{tokenizer.name_or_path} has no chat template: fetch its chat_template.jinja, chat_template.json or "
            "tokenizer_config.json"
        )
    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    except (TemplateError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"the chat template of {tokenizer.name_or_path} cannot be used ({reason}): fetch it anew, in its chat_template.jinja, "
            "chat_template.json or tokenizer_config.json"
        ) from error


def tokenised(tokenizer: Any, prompt: str, **more: Any) -> Any:
    """A whole prompt as the model's own processor has it tokenised: with the `<s>` that its tokenizer begins texts with, once.

    Tokenizers of Llama and InternLM add one, which templates may have written already; Qwen's have none.
    """
    begin = tokenizer.bos_token
    written = begin is not None and prompt.startswith(begin)
    return tokenizer(prompt, add_special_tokens=not written, **more)


def texts_around(between: Sequence[str] | None, frames: Sequence[int], total: int | None = None) -> list[str]:
    """What stands before each of the kept `frames`, increasing numbers among T, and after the last: `len(frames) + 1` texts.

    `between` says the same of all T frames; what stood around a frame that is gone stays, in order, between those that are
    left. None is nothing written. `total` is T where that is known. Raises `ValueError` for anything but T + 1 texts.
    """
    if between is None:
        return [""] * (len(frames) + 1)
    least = max(frames, default=-1) + 1
    if len(between) - 1 != total if total is not None else len(between) - 1 < least:
        told = f"{total}" if total is not None else f"at least {least}"
        raise ValueError(
            f"{len(between)} texts between {told} frames: give one to stand before each frame and one after the last"
        )
    starts = [0, *(frame + 1 for frame in frames)]
    return ["".join(between[start:end]) for start, end in zip(starts, [*starts[1:], len(between)], strict=True)]
