"""Subtitles stand between the frames where they are said, as LongVideoBench's own loader puts them."""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.progress import Progress

from tests.eval import published
from videorouter.eval.benchmarks.items import Subtitles
from videorouter.eval.benchmarks.registry import load_items
from videorouter.eval.running.controls import system_or_control
from videorouter.eval.running.prompts import wording
from videorouter.eval.running.runner import Runner
from videorouter.eval.running.subtitles import Line, SubtitleReader, said_between
from videorouter.routers.answering.routed_question import prompt_without_video
from videorouter.routers.answering.video_router import VideoRouter

FRAMES = (10.0, 20.0, 30.0)


def said(*lines: Line, shown: tuple[float, ...] = FRAMES) -> list[list[str]]:
    return said_between(lines, FRAMES, shown, 40.0)


def test_a_line_stands_behind_the_frames_up_to_its_middle() -> None:
    lines = [
        Line(5, 11, "before the first"), Line(9, 11, "at the first"), Line(9, 21, "over two"),
        Line(19, 23, "behind the second"), Line(28, 36, "after the last"),
    ]  # fmt: skip
    expected = [["before the first"], ["at the first", "over two"], ["behind the second"], ["after the last"]]
    assert said(*lines) == expected


def test_only_what_is_said_at_a_sampled_frame_is_taken_and_a_second_is_the_least() -> None:
    assert said(Line(10, 15, "begins"), Line(12, 18, "between"), Line(25, 30, "ends")) == [[]] * 4
    short = [Line(10.1, 10.5, "short"), Line(19.4, 19.8, "shortly before"), Line(18.9, 19.3, "too early")]
    assert said(*short) == [[], ["short", "shortly before"], [], []]


def test_a_line_that_holds_another_does_not_hold_it_back() -> None:
    assert said(Line(0, 60, "music"), Line(9, 12, "hello")) == [[], ["hello"], [], ["music"]]


def test_an_open_end_is_the_videos() -> None:
    assert said(Line(19, math.inf, "to the end")) == [[], [], ["to the end"], []]
    assert said(Line(300, math.inf, "beyond"), Line(-90, -80, "before the clip")) == [[]] * 4


def test_merged_frames_are_where_their_middle_is() -> None:
    assert said(Line(9, 13, "early"), Line(9, 25, "late"), shown=(15.0, 30.0)) == [["early"], ["late"], []]


def test_longvideobench_with_subtitles_speaks_between_the_frames(tmp_path: Path) -> None:
    item = load_items("longvideobench", published.longvideobench(tmp_path), "val")[0]
    asked, plain = wording("longvideobench_interleaved"), wording("longvideobench")
    assert asked.between(item, [0.0, 2.0, 11.0], [0.0, 2.0, 11.0], 14.5) == ("", "", "in the clip\n", "open end\n")
    assert asked.render(item, [0.0, 2.0, 11.0]) == plain.render(item, [0.0, 2.0, 11.0])
    assert plain.between(item, [0.0, 2.0, 11.0], [0.0, 2.0, 11.0], 14.5) is None


def test_without_speech_the_prompt_is_the_plain_one_and_an_unusable_file_is_counted(tmp_path: Path) -> None:
    item, reader = load_items("longvideobench", published.longvideobench(tmp_path), "val")[0], SubtitleReader()
    asked = wording("longvideobench_interleaved")
    assert asked.between(item, [8.0], [8.0], 14.5, reader) is None
    assert asked.between(replace(item, subtitles=None), [2.0], [2.0], 14.5, reader) is None
    (tmp_path / "damaged.json").write_text("{")
    damaged = replace(item, subtitles=Subtitles(tmp_path / "damaged.json"))
    assert asked.between(damaged, [2.0], [2.0], 14.5, reader) is None
    assert list(reader.damaged) == [tmp_path / "damaged.json"]
    assert "damaged.json" in (asked.unread(damaged, reader) or "")
    assert asked.unread(item, reader) is None
    assert wording("longvideobench").unread(damaged, reader) is None


def test_every_system_is_asked_with_the_speech_between_the_frames(
    world: Path, router: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.srt").write_text("1\n00:00:04,000 --> 00:00:12,000\nhello {there}\n")
    item = replace(load_items("miniature", world, "test", 1)[0], subtitles=Subtitles(tmp_path / "a.srt"))
    loaded = VideoRouter.from_pretrained(router).resampled(8)
    runner = Runner(loaded, "likelihood", wording=wording("longvideobench_interleaved"))
    asked: list[Any] = []
    blind: list[str] = []
    embed = runner.router.backbone.embed_prompt

    def noting(kept: Any, text: str, seconds: Any = None, between: Any = None) -> Any:
        asked.append(SimpleNamespace(kept=kept, seconds=seconds, between=between))
        return embed(kept, text, seconds, between)

    def noting_blind(backbone: Any, text: str) -> Any:
        blind.append(text)
        return prompt_without_video(backbone, text)

    monkeypatch.setattr(runner.router.backbone, "embed_prompt", noting)
    monkeypatch.setattr("videorouter.eval.running.answering.prompt_without_video", noting_blind)
    systems = [system_or_control(loaded, name) for name in ("dense", "frame_budget", "blind")]
    made = runner.run([item], systems, {system.name: [64] for system in systems}, Progress(disable=True))
    assert {one.prompt for one in made} == {wording("longvideobench_interleaved").id}
    assert [len(one.kept.spans) for one in asked] == [8, 4]
    for one in asked:
        assert [place for place, text in enumerate(one.between) if text] == [sum(s <= 8 for s in one.seconds)]
        assert "".join(one.between) == "hello {there}\n"
    assert [text.partition("\n")[0] for text in blind] == ["hello {there}"]
