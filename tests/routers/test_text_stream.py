"""Answers as text while they grow: pieces are the whole answer, characters are never split, stop strings are never seen."""

import itertools
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from tests.routers.published_tokenizers import write_internlm_tokenizer
from tests.routers.tiny_backbones import all_kept, video, write_tiny
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.backbones.prompt import Prompt
from videorouter.routers.backbones.running_batch import Choose, Row
from videorouter.routers.backbones.text_stream import TextStream


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A token is a byte."""
    folder: Path = write_tiny(tmp_path_factory.mktemp("internvl") / "model", "internvl")
    return load_backbone(str(folder), device="cpu")


@pytest.fixture(scope="module")
def prompt(backbone: Any) -> Prompt:
    return backbone.embed_prompt(all_kept(backbone.encode_frames(video(1))), "Why?")


def says(backbone: Any, text: str, end: bool = True) -> Choose:
    """Chooses the tokens of `text`, and then the end token."""
    ids = backbone.tokenizer(text, add_special_tokens=False).input_ids + [backbone.tokenizer.eos_token_id] * end
    each = iter(ids)
    return lambda logits: next(each)


def answered(
    backbone: Any, prompt: Prompt, text: str, stops: Sequence[str] = (), limit: int = 100
) -> tuple[Row, list[str]]:
    """The row in which the model said `text`, and the pieces that were heard of it."""
    pieces: list[str] = []
    batch = backbone.running_batch()
    row = batch.join(prompt, limit, choose=says(backbone, text), on_text=pieces.append, stops=stops)
    while len(batch):
        batch.step()
    assert row.error is None
    return row, pieces


@pytest.mark.parametrize("text", ["A red car.", " naïve 😀, 你好! \n", "\n\nTwo lines,\n\n  indented", "", "  "])
def test_pieces_are_the_answer_and_characters_come_whole(backbone: Any, prompt: Prompt, text: str) -> None:
    row, pieces = answered(backbone, prompt, text)
    assert "".join(pieces) == row.text == text.strip()
    assert row.ended
    assert len(row.ids) == len(text.encode()) + 1
    assert all(pieces)
    assert not any("\ufffd" in piece for piece in pieces)
    if len(text.strip()) > 3:
        assert len(pieces) > 3


@pytest.mark.parametrize(
    ("said", "stops", "heard"),
    [
        ("one two STOP three", ["STOP"], "one two"),
        ("one ST STO STOP", ["STOP"], "one ST STO"),
        ("one SSTOP two", ["STOP", "TOPS"], "one S"),
        ("one\ntwo", ["\n"], "one"),
        ("one###two", ["##", "###"], "one"),
        ("aab then aaab", ["aaab"], "aab then"),
        ("STOP", ["STOP"], ""),
        ("price 5 € and", ["€"], "price 5"),
    ],
)
def test_an_answer_is_cut_at_a_stop_string_of_which_nothing_is_heard(
    backbone: Any, prompt: Prompt, said: str, stops: list[str], heard: str
) -> None:
    row, pieces = answered(backbone, prompt, said, stops)
    assert ("".join(pieces), row.text, row.ended) == (heard, heard, True)
    stopped = min(said.encode().find(stop.encode()) + len(stop.encode()) for stop in stops if stop in said)
    assert len(row.ids) == stopped  # no token is made behind it


def test_the_beginning_of_a_stop_string_is_said_when_it_was_none(backbone: Any, prompt: Prompt) -> None:
    row, pieces = answered(backbone, prompt, "one ST two ST", ["STOP"])
    assert "".join(pieces) == row.text == "one ST two ST"
    row, pieces = answered(backbone, prompt, "one ST", ["STOP"], limit=6)
    assert ("".join(pieces), row.text, row.ended) == ("one ST", "one ST", False)


def test_a_character_that_the_limit_splits_is_shown_as_it_is(backbone: Any, prompt: Prompt) -> None:
    row, pieces = answered(backbone, prompt, "ab😀", limit=4)
    assert "".join(pieces) == row.text == backbone.tokenizer.decode(row.ids)
    assert row.text.startswith("ab\ufffd")


def test_one_who_listens_no_longer_ends_the_row(backbone: Any, prompt: Prompt) -> None:
    heard: list[str] = []

    def on_text(piece: str) -> bool:
        heard.append(piece)
        return len(heard) == 3

    batch = backbone.running_batch()
    row = batch.join(prompt, 50, choose=says(backbone, "abcdefgh"), on_text=on_text)
    other = batch.join(prompt, 50, choose=says(backbone, "abcdefgh"))
    while len(batch):
        batch.step()
    assert (row.text, row.ended, len(row.ids)) == ("abc", False, 3)
    assert (other.text, other.ended) == ("abcdefgh", True)


def test_stop_strings_without_a_listener(backbone: Any, prompt: Prompt) -> None:
    batch = backbone.running_batch()
    row = batch.join(prompt, 50, choose=says(backbone, "one. two."), stops=[". "])
    while len(batch):
        batch.step()
    assert (row.text, row.ended) == ("one", True)


def test_what_cannot_be_joined_is_refused(backbone: Any, prompt: Prompt) -> None:
    batch = backbone.running_batch()
    with pytest.raises(ValueError, match="a stop string is empty"):
        batch.join(prompt, 5, stops=["a", ""])
    long = Prompt(torch.zeros(1, 5000, 64), torch.zeros(0, dtype=torch.int64))
    with pytest.raises(ValueError, match="the prompt takes 5,000 positions"):
        batch.join(long, 5)
    assert len(batch) == 0


def test_generate_says_its_tokens_and_whether_the_end_came(
    backbone: Any, prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces: list[str] = []
    made = backbone.generate(prompt, 7, on_text=pieces.append)
    assert (made.tokens, made.ended) == (7, False)
    assert "".join(pieces) == made.text
    ids = backbone.running_batch().join(prompt, 1).ids
    monkeypatch.setattr(backbone.model.generation_config, "eos_token_id", ids[0])
    for one in (backbone.generate(prompt, 7), *backbone.generate_together([prompt, prompt], 7)):
        assert (one.tokens, one.ended) == (1, True)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tokenizer of characters that falls back to bytes."""
    folder = tmp_path_factory.mktemp("llama")
    write_internlm_tokenizer(folder)
    return AutoTokenizer.from_pretrained(folder)


def heard(tokenizer: Any, ids: Sequence[int], stops: Sequence[str] = ()) -> tuple[Row, list[str]]:
    """A row of these ids as it is told token by token, and the pieces that were heard."""
    row, pieces = Row(length=1, position=1, limit=len(ids)), list[str]()
    stream = TextStream(tokenizer, pieces.append, stops)
    for token in ids:
        row.ids.append(token)
        row.running = len(row.ids) < row.limit
        if stream(row):
            break
    return row, pieces


def test_pieces_are_the_answer_where_bytes_unmake_characters_before_them(llama: Any) -> None:
    """Of a run of bytes all are unmade by one that makes no character, also behind a special token, which is not shown."""
    byte = {number: llama.convert_tokens_to_ids(f"<0x{number:02X}>") for number in range(256)}
    letters = llama("Yx@ 0", add_special_tokens=False).input_ids
    draw = random.Random(0)
    rewritten = 0
    for _ in range(300):
        whole = [byte[number] for number in draw.choice(["é", "你好", "\x05", "\n", "😀"]).encode()]
        choices = [letters, whole, [byte[draw.randrange(256)]], [llama.convert_tokens_to_ids("<|im_end|>")]]
        ids = [token for _ in range(8) for token in draw.choice(choices)]
        row, pieces = heard(llama, ids)
        expected = llama.decode(ids, skip_special_tokens=True).strip()
        assert "".join(pieces) == row.text == expected
        texts = [llama.decode(ids[:count], skip_special_tokens=True) for count in range(1, len(ids) + 1)]
        rewritten += any(
            not later.startswith(text) for text, later in itertools.pairwise(texts) if "\ufffd" not in text
        )
    assert rewritten > 50, "the tokens must tempt"


def test_text_is_heard_between_runs_of_bytes(llama: Any) -> None:
    ids = llama("naïve 😀, 你好!", add_special_tokens=False).input_ids
    row, pieces = heard(llama, ids)
    assert "".join(pieces) == row.text == "naïve 😀, 你好!"
    assert pieces == ["n", "a", "ïv", "e", " 😀,", " 你好!"]
    assert heard(llama, ids, ["😀"])[0].text == "naïve"


class Tidying:
    """Words that are rewritten by those behind them, as by `clean_up_tokenization_spaces`."""

    all_special_ids: tuple[int, ...] = ()
    added_tokens_decoder: Mapping[int, Any] = MappingProxyType({})

    def decode(self, ids: Sequence[int], skip_special_tokens: bool) -> str:
        return (
            " ".join(["do", "n't", "go"][token] for token in ids).replace(" n't", "n't").replace("don't go", "dont go")
        )

    def convert_ids_to_tokens(self, token: int) -> str:
        return str(token)


def test_where_what_was_said_is_rewritten_the_text_is_exact_and_its_new_end_is_heard() -> None:
    row, pieces = heard(Tidying(), [0, 1, 2])
    assert row.text == "dont go"
    assert pieces == ["do", "n't", "t go"]
