"""The world is deterministic, its questions are answerable, its truth exact, its splits apart."""

import json
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from videorouter.miniature.geometry import places_beside
from videorouter.miniature.questions import ask
from videorouter.miniature.scenes import Scene, Script
from videorouter.miniature.wordings import KINDS, parse
from videorouter.miniature.world import WorldPlan, build_world
from videorouter.shards.schema import VideoQuestion
from videorouter.video.decode import sample_frames


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def scripts() -> list[Script]:
    return [WorldPlan(seed=11).script(index) for index in range(8)]


def cue_of(scene: Scene, kind: str) -> tuple[str, str]:
    return (scene.background, scene.shape) if kind == "glyph_by_background" else scene.figure


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        build_world(tmp_path / name, videos=2, seconds=20, seed=5, questions_per_video=6, workers=1)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert len(files) == 5
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)


def test_questions_are_of_the_public_schema_and_hold_no_truth(world: Path) -> None:
    questions = [VideoQuestion.model_validate(row) for row in rows(world / "questions.jsonl")]
    assert all(question.evidence is None and question.options for question in questions)
    assert {row["id"] for row in rows(world / "truth.jsonl")} == {question.id for question in questions}
    assert len({question.task_type for question in questions}) == len(KINDS) >= 6


def test_splits_share_no_video_and_test_wordings_are_their_own(world: Path) -> None:
    split_of: dict[object, set[object]] = {}
    for row in rows(world / "questions.jsonl"):
        split_of.setdefault(row["video"], set()).add(row["split"])
    assert all(len(splits) == 1 for splits in split_of.values())
    for wordings in KINDS.values():
        assert not set(wordings.seen) & set(wordings.held_out)
        assert wordings.for_split("test") == wordings.held_out
        assert wordings.for_split("val") == wordings.for_split("train") == wordings.seen


def test_every_wording_is_understood_back(scripts: list[Script]) -> None:
    for number, script in enumerate(scripts):
        for split in ("train", "test"):
            for riddle in ask(script, Random(number), split, 12):
                assert parse(riddle.text) == riddle.asked
    assert parse("Who won the match?") is None


def test_a_cue_belongs_to_one_scene_and_options_share_its_quadrant(scripts: list[Script]) -> None:
    for number, script in enumerate(scripts):
        for riddle in ask(script, Random(number), "train", 16):
            if riddle.asked.policy != "fragment":
                assert riddle.evidence == ((0, script.total),)
                continue
            slots = riddle.asked.slots
            wanted = (slots.get("background") or slots["colour"], slots["shape"])
            (scene,) = [s for s in script.scenes if cue_of(s, riddle.asked.kind) == wanted]
            assert riddle.evidence == (script.frames_of(scene),)
            if riddle.asked.kind == "place_of_glyph":
                assert scene.glyph_at(riddle.answer) == slots["glyph"]
                assert set(riddle.options) == set(places_beside(riddle.answer))
            else:
                assert scene.glyph_at(slots["place"]) == riddle.answer
                assert set(riddle.options) == {scene.glyph_at(place) for place in places_beside(slots["place"])}


def test_global_answers_follow_from_the_scenes(scripts: list[Script]) -> None:
    for number, script in enumerate(scripts):
        figures = Counter(" ".join(scene.figure) for scene in script.scenes)
        backgrounds = Counter(scene.background for scene in script.scenes)
        for riddle in ask(script, Random(number), "train", 16):
            if riddle.asked.kind == "never_shown":
                assert [option for option in riddle.options if not figures[option]] == [riddle.answer]
            elif riddle.asked.kind == "count_cue":
                assert riddle.answer == str(figures[" ".join(riddle.asked.figure)])
            elif riddle.asked.kind == "top_background":
                assert riddle.answer == max(backgrounds, key=lambda name: backgrounds[name])


def test_64_midpoints_see_every_scene(scripts: list[Script]) -> None:
    from videorouter.video.sampling import segment_midpoint

    for script in scripts:
        seen = {
            next(i for i, scene in enumerate(script.scenes) if (b := script.frames_of(scene))[0] <= index < b[1])
            for index in segment_midpoint(script.total, 64)
        }
        assert len(seen) == len(script.scenes)
        assert 32 <= len(script.scenes) <= 64


def test_videos_have_the_frames_of_their_script(world: Path) -> None:
    video = sorted((world / "videos").iterdir())[0]
    sampled = sample_frames(video, 4)
    assert sampled.frames.shape[1:] == (112, 112, 3)
    assert (sampled.total, sampled.fps) == (160, pytest.approx(8))


def test_answers_are_spread_over_the_options(scripts: list[Script]) -> None:
    places: Counter[int] = Counter()
    for number in range(20):
        for riddle in ask(scripts[number % 8], Random(number), "train", 12):
            places[riddle.options.index(riddle.answer)] += 1
    assert min(places[i] for i in range(3)) > 0.2 * places.total()


@pytest.mark.parametrize("wrong", [{"videos": 0}, {"splits": (50, 50, 50)}, {"scenes": (2, 99)}, {"longest": 5.0}])
def test_numbers_that_describe_no_world_are_refused(wrong: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\d|one video"):
        build_world(tmp_path, **({"videos": 1, "seconds": 20, "workers": 1} | wrong))  # type: ignore[arg-type]
