"""Prompts are tokenised once, every token owned by the frame it speaks of, in whatever form the template wants them."""

import pytest
import torch

from tests.routers.tiny_backbones import tiny_tokenizer
from videorouter.routers.backbones.layout import NO_FRAME, chat_prompt, lay_out

PARTS = (
    "{% for m in messages %}<|im_start|>{{ m.role }} {% for part in m.content | selectattr('type', 'equalto', 'text') %}"
    "{{ part.text }}{% endfor %}<|im_end|>{% endfor %}<|im_start|>assistant"
)


def test_a_token_belongs_to_the_piece_in_which_it_begins() -> None:
    tokenizer = tiny_tokenizer()
    pieces = [(4, "é: <video>\n"), (7, "b <video>\n"), (NO_FRAME, "Why?  ")]
    layout = lay_out(tokenizer, pieces, tokenizer("<video>").input_ids[0])
    assert layout.owners[layout.placeholder].tolist() == [4, 7]
    assert [int((layout.owners == owner).sum()) for owner in (4, 7)] == [6, 4]  # the letter é is two bytes
    wide = layout.expanded(torch.tensor([3, 1]))
    assert wide.owners[wide.placeholder].tolist() == [4, 4, 4, 7]
    assert tokenizer.decode(wide.ids) == chat_prompt(tokenizer, "é: <video><video><video>\nb <video>\nWhy?")


def test_blanks_before_the_first_piece_move_no_border() -> None:
    tokenizer = tiny_tokenizer()
    pieces = [(NO_FRAME, "\n  "), (4, "<video>"), (7, "b"), (NO_FRAME, "Why?")]
    layout = lay_out(tokenizer, pieces, tokenizer("<video>").input_ids[0])
    assert tokenizer.decode(layout.ids[layout.owners == 4]) == "<video>"
    assert tokenizer.decode(layout.ids[layout.owners == 7]) == "b"


def test_templates_of_messages_in_parts_are_served() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = PARTS
    assert chat_prompt(tokenizer, "<video>\nWhy?") == ("<|im_start|>user <video>\nWhy?<|im_end|><|im_start|>assistant")


def test_a_template_that_leaves_the_message_out_is_refused() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "<|im_start|>assistant\n"
    with pytest.raises(ValueError, match="leaves out what a user says"):
        chat_prompt(tokenizer, "Why?")
