"""The world is deterministic, its questions are answerable, its truth exact, its splits apart."""

import json
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from videorouter.miniature.world.build import WorldPlan, build_world
from videorouter.miniature.world.frame import places_beside
from videorouter.miniature.world.questions import ask
from videorouter.miniature.world.scenes import Scene, Script
from videorouter.miniature.world.wordings import KINDS, parse
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
            for question in ask(script, Random(number), split, 12):
                assert parse(question.text) == question.intent
    assert parse("Who won the match?") is None


def test_a_cue_belongs_to_one_scene_and_options_share_its_quadrant(scripts: list[Script]) -> None:
    for number, script in enumerate(scripts):
        for question in ask(script, Random(number), "train", 16):
            if question.intent.policy != "fragment":
                assert question.evidence == ((0, script.total),)
                continue
            slots = question.intent.slots
            wanted = (slots.get("background") or slots["colour"], slots["shape"])
            (scene,) = [s for s in script.scenes if cue_of(s, question.intent.kind) == wanted]
            assert question.evidence == (script.frames_of(scene),)
            if question.intent.kind == "place_of_glyph":
                assert scene.glyph_at(question.answer) == slots["glyph"]
                assert set(question.options) == set(places_beside(question.answer))
            else:
                assert scene.glyph_at(slots["place"]) == question.answer
                assert set(question.options) == {scene.glyph_at(place) for place in places_beside(slots["place"])}


def test_global_answers_follow_from_the_scenes(scripts: list[Script]) -> None:
    for number, script in enumerate(scripts):
        figures = Counter(" ".join(scene.figure) for scene in script.scenes)
        backgrounds = Counter(scene.background for scene in script.scenes)
        for question in ask(script, Random(number), "train", 16):
            if question.intent.kind == "never_shown":
                assert [option for option in question.options if not figures[option]] == [question.answer]
            elif question.intent.kind == "count_cue":
                assert question.answer == str(figures[" ".join(question.intent.figure)])
            elif question.intent.kind == "top_background":
                assert question.answer == max(backgrounds, key=lambda name: backgrounds[name])


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
        for question in ask(scripts[number % 8], Random(number), "train", 12):
            places[question.options.index(question.answer)] += 1
    assert min(places[i] for i in range(3)) > 0.2 * places.total()


@pytest.mark.parametrize("wrong", [{"videos": 0}, {"splits": (50, 50, 50)}, {"scenes": (2, 99)}, {"longest": 5.0}])
def test_numbers_that_describe_no_world_are_refused(wrong: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\d|one video"):
        build_world(tmp_path, **({"videos": 1, "seconds": 20, "workers": 1} | wrong))  # type: ignore[arg-type]
