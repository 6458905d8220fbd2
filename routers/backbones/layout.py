"""A chat prompt cut into the pieces that belong to frames and those that do not, and what is written between frames (ours)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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


def lay_out(
    tokenizer: Any, pieces: Sequence[tuple[int, str]], placeholder_id: int, system: str | None = None
) -> Layout:
    """Tokenise (owner, text) `pieces` as one user message in the tokenizer's chat template, on the CPU.

    A token belongs to the piece in which it begins. `system` and errors as `chat_prompt`; raises `ValueError` as well for text
    that holds the placeholder.
    """
    content = "".join(text for _, text in pieces)
    prompt = chat_prompt(tokenizer, content, system)
    encoded = tokenised(tokenizer, prompt, return_offsets_mapping=True)
    begins = torch.tensor([begin for begin, _ in encoded.offset_mapping])
    stripped = len(content) - len(content.lstrip())  # by `chat_prompt`
    behind = 0 if system is None else prompt.index(system.strip()) + len(system.strip())
    lengths = [prompt.index(content.strip(), behind) - stripped, *(len(text) for _, text in pieces)]
    owners = torch.tensor([NO_FRAME, *(owner for owner, _ in pieces), NO_FRAME])
    ids = torch.tensor(encoded.input_ids)
    owner = owners[torch.bucketize(begins, torch.tensor(lengths).cumsum(0), right=True)]
    placeholder = ids == placeholder_id
    if (owner[placeholder] == NO_FRAME).any():
        raise ValueError(
            f"the text holds {tokenizer.convert_ids_to_tokens(placeholder_id)!r}, which stands for visual tokens"
        )
    return Layout(ids, owner, placeholder)


def chat_prompt(tokenizer: Any, content: str, system: str | None = None) -> str:
    """One user message in the chat template, up to where the answer begins, after what the `system` says where that is given.

    Templates want messages as strings or as lists of parts. Raises `ValueError` for one that shows them in neither form.
    """
    said = [("user", content.strip())]  # as many templates do
    if system is not None:
        said.insert(0, ("system", system.strip()))
    for form in (lambda text: text, lambda text: [{"type": "text", "text": text}]):
        messages = [{"role": role, "content": form(text)} for role, text in said]
        prompt = _templated(tokenizer, messages)
        if all(text in prompt for _, text in said):
            return prompt
    raise ValueError(
        f"the chat template of {tokenizer.name_or_path} leaves out what a {' or a '.join(role for role, _ in said)} says"
    )


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
