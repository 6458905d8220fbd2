"""Every benchmark is asked in its own wording, which has a name and a hash."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.eval import published
from videorouter.eval.benchmarks.items import Item, Subtitles
from videorouter.eval.benchmarks.registry import load_items
from videorouter.eval.running.prompts import WORDINGS, usual_wording, wording
from videorouter.eval.running.subtitles import SubtitleReader
from videorouter.routers.systems.query import Query, question_text

ITEM = Item("1", Path("a.mp4"), "What {is} it?", ("x", "y", "z", "w"), "B", {"duration": "short"})


def test_the_projects_own_wording_is_as_it_always_was() -> None:
    assert wording("house").render(ITEM, []) == question_text(Query(ITEM.question, ITEM.options))
    assert usual_wording("miniature").name == "house"


def test_video_mme() -> None:
    assert usual_wording("video_mme").render(ITEM, []) == (
        "Select the best answer to the following multiple-choice question based on the video. Respond with only the letter "
        "(A, B, C, or D) of the correct option.\nWhat {is} it?\nA. x\nB. y\nC. z\nD. w\nThe best answer is:"
    )


def test_mlvu() -> None:
    text = usual_wording("mlvu").render(ITEM, [])
    assert text.endswith(
        "What {is} it?\nOptions:\n(A) x\n(B) y\n(C) z\n(D) w\nOnly give the best option.\nBest option: ("
    )


@pytest.mark.parametrize("name", ["longvideobench", "lvbench", "egoschema"])
def test_others_ask_for_the_letter(name: str) -> None:
    assert "letter" in usual_wording(name).render(ITEM, []).splitlines()[-1]


def test_subtitles_of_the_sampled_frames_come_first(tmp_path: Path) -> None:
    item = load_items("video_mme", published.video_mme(tmp_path), "test")[0]
    asked = usual_wording("video_mme", subtitles=True)
    assert asked.render(item, [2.0, 2.5]).startswith(
        "This video's subtitles are listed below:\nhello there\nSelect the best answer to the following multiple-choice question "
        "based on the video and the subtitles."
    )
    assert asked.render(item, [60.0]) == usual_wording("video_mme").render(item, [60.0])


def test_subtitles_are_asked_for_as_the_benchmarks_own_script_shows_them() -> None:
    benchmarks = ("video_mme", "longvideobench", "mlvu", "miniature")
    names = {name: usual_wording(name, subtitles=True).name for name in benchmarks}
    assert names == {
        "video_mme": "video_mme_subtitles", "longvideobench": "longvideobench_interleaved", "mlvu": "mlvu",
        "miniature": "house",
    }  # fmt: skip


def test_damaged_subtitles_leave_the_wording_without(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text("???")
    reader = SubtitleReader()
    item = replace(ITEM, subtitles=Subtitles(tmp_path / "a.srt"))
    assert "subtitles" not in wording("video_mme_subtitles").render(item, [1.0], reader)
    assert len(reader.damaged) == 1


def test_ids_name_the_wording_and_change_with_it() -> None:
    ids = {name: each.id for name, each in WORDINGS.items()}
    assert (
        len({each.partition("@")[2] for each in ids.values()}) >= len(ids) - 1
    )  # two benchmarks may share one wording
    for name, each in ids.items():
        assert each.partition("@")[0] == name
        assert len(each.partition("@")[2]) == 8
    assert replace(WORDINGS["mlvu"], option="{letter}. {option}").id != ids["mlvu"]
    interleaved = WORDINGS["longvideobench_interleaved"]
    assert replace(interleaved, subtitle="[{subtitle}]\n").id != interleaved.id


def test_published_figures_keep_their_wordings() -> None:
    """A change here makes earlier results incomparable: give the wording a new name instead."""
    assert {name: each.id.partition("@")[2] for name, each in WORDINGS.items()} == {
        "house": "76ca20a3",
        "video_mme": "629a2508",
        "video_mme_subtitles": "441dc12c",
        "mlvu": "fcfa2830",
        "longvideobench": "43a8736f",
        "longvideobench_interleaved": "cd66243c",
        "lvbench": "8472b546",
        "egoschema": "43a8736f",
    }


def test_an_unknown_wording_is_refused_with_the_names() -> None:
    with pytest.raises(ValueError, match="there are house, video_mme"):
        wording("other")
