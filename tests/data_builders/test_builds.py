"""Builds label what can be labelled, put the rest aside by name, resume, and never mix configurations."""

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from videorouter.data_builders.__main__ import main
from videorouter.data_builders.building.run_folder import claim_folder
from videorouter.data_builders.teacher.config import TeacherConfig
from videorouter.data_builders.teacher.errors import TeacherReplyError
from videorouter.data_builders.teacher.replies import FrameScores, QuestionCategory
from videorouter.data_builders.teacher.teacher import Teacher
from videorouter.miniature.study.label_quality import measure_labels
from videorouter.shards.reader import ShardDataset


def annotate(world: Path, out: Path, teacher: str, *options: str) -> int:
    arguments = ["flr", "annotate", "--config", "miniature/flr_annotate", "--questions", str(world / "questions.jsonl")]
    return main([*arguments, "--videos", str(world), "--teacher.base_url", teacher, "--out", str(out), *options])


def spent(capfd: pytest.CaptureFixture[str]) -> str:
    """The line of a build's report that tells what all runs into its folder paid."""
    return next(line for line in capfd.readouterr().out.splitlines() if line.startswith("teacher, all runs"))


def quarantine(out: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (out / "quarantine.jsonl").read_text().splitlines()]


def test_teacher_labels_of_frames_agree_with_the_truth(world: Path, flr: Path) -> None:
    for split in ("train", "val", "test"):
        assert measure_labels(world, flr, split)["relevance_f1"] >= 0.97


def test_teacher_labels_of_policies_agree_with_the_truth(world: Path, qtr: Path) -> None:
    measured = [measure_labels(world, qtr, split) for split in ("train", "val", "test")]
    assert min(row["policy_accuracy"] for row in measured) >= 0.97
    assert sum(row["policy_questions"] for row in measured) >= 30


def test_labels_keep_scores_teacher_and_prompt(flr: Path) -> None:
    labelled = ShardDataset(flr, split="train")[0].questions[0]
    assert labelled.relevance is not None
    assert labelled.relevance.scores is not None
    assert [score >= 50 for score in labelled.relevance.scores] == labelled.relevance.relevant
    assert labelled.teacher == "miniature-teacher"
    assert labelled.prompt_hash is not None
    assert len(labelled.prompt_hash) == 64


def test_bad_videos_and_lines_are_put_aside_and_the_others_labelled(world: Path, teacher: str, tmp_path: Path) -> None:
    own = tmp_path / "world"
    shutil.copytree(world, own)
    videos = sorted((own / "videos").iterdir())
    videos[0].unlink()
    videos[1].write_bytes(b"")
    videos[2].write_bytes(np.random.default_rng(0).bytes(5000))
    with (own / "questions.jsonl").open("a") as lines:
        lines.write("{not json\n")
    assert annotate(own, tmp_path / "out", teacher) == 3
    verdicts = {(row["item"], row["verdict"]) for row in quarantine(tmp_path / "out")}
    names = [f"videos/{video.name}" for video in videos]
    assert verdicts == {
        (names[0], "missing"), (names[1], "empty"), (names[2], "corrupt"), ("questions.jsonl:49", "malformed"),
    }  # fmt: skip
    assert len(ShardDataset(tmp_path / "out")) == 3


def test_a_teacher_that_is_down_stops_with_its_address_and_a_rerun_goes_on(
    world: Path, teacher: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    down = "http://127.0.0.1:9/v1"
    assert annotate(world, tmp_path / "out", down, "--teacher.wait", "0") == 4
    assert down in capfd.readouterr().err
    assert not list((tmp_path / "out").glob("*.tar"))
    assert annotate(world, tmp_path / "out", teacher) == 0


def test_a_rerun_pays_nothing_for_finished_shards(
    world: Path, teacher: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert annotate(world, tmp_path / "out", teacher) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").glob("*.tar")}
    paid = spent(capfd)
    assert annotate(world, tmp_path / "out", teacher) == 0
    assert spent(capfd) == paid
    assert before == {path: path.read_bytes() for path in (tmp_path / "out").glob("*.tar")}


def test_a_changed_configuration_is_refused_with_the_difference(
    world: Path, flr: Path, teacher: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert annotate(world, flr, teacher, "--videos_per_shard", "2", "--threshold", "70") == 1
    assert "threshold: 50 -> 70" in capfd.readouterr().err


def test_speed_settings_and_places_may_change(tmp_path: Path) -> None:
    config = {"frames": 8, "out": "a", "videos": "x", "teacher": {"model": "m", "concurrency": 8}}
    changed = {"frames": 8, "out": "b", "videos": "y", "teacher": {"model": "m", "concurrency": 1}}
    assert claim_folder(tmp_path, config) == claim_folder(tmp_path, changed)
    (tmp_path / "train-00000.tar").touch()
    with pytest.raises(ValueError, match=r"teacher\.model: 'm' -> 'n'"):
        claim_folder(tmp_path, changed | {"teacher": {"model": "n"}})


def test_a_faulty_teacher_costs_some_questions_and_no_label_is_wrong(
    world: Path, tmp_path: Path, start_teacher: Callable[..., object]
) -> None:
    faults = [
        "--malformed",
        "0.2",
        "--truncated",
        "0.1",
        "--wrong-schema",
        "0.1",
        "--rate-limit",
        "0.1",
        "--server-error",
        "0.1",
    ]
    with start_teacher(*faults) as url:  # type: ignore[attr-defined]
        assert annotate(world, tmp_path / "out", url) == 3
    rejected = quarantine(tmp_path / "out")
    assert {row["verdict"] for row in rejected} == {"invalid_reply"}
    assert all(row["raw"] for row in rejected)
    for split in ("train", "val", "test"):
        assert measure_labels(world, tmp_path / "out", split)["relevance_f1"] in (None, 1.0)


def test_a_reply_that_stays_wrong_is_kept_raw(start_teacher: Callable[..., object]) -> None:
    with start_teacher("--malformed", "1.0") as url:  # type: ignore[attr-defined]
        teacher = Teacher(TeacherConfig(base_url=url))
        with pytest.raises(TeacherReplyError, match="QuestionCategory after one correction") as caught:
            asyncio.run(teacher.ask("Question: Why?", [], QuestionCategory, lambda reply: reply))
    assert caught.value.raw.startswith("Sure!")
    assert teacher.usage.requests == 2


def test_scores_must_cover_every_frame_once() -> None:
    reply = FrameScores.model_validate({"scores": [{"frame": 2, "score": 0}, {"frame": 1, "score": 100}], "reason": ""})
    assert reply.in_order(2) == [100, 0]
    with pytest.raises(ValueError, match="1 to 3 exactly once"):
        reply.in_order(3)
