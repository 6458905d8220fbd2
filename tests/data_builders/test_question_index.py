"""The index of questions says what reading the whole file would, and a job reads its own shards' lines alone."""

import json
import pickle
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from videorouter.data_builders.building.config import BuildConfig
from videorouter.data_builders.building.indexing import index_questions
from videorouter.data_builders.building.plan import plan_shards
from videorouter.data_builders.building.question_index import INDEX, questions_hash
from videorouter.data_builders.building.question_sorter import AT_ONCE
from videorouter.data_builders.sources.conversion import read_questions
from videorouter.data_builders.sources.decontamination import decontaminate


def row(number: int, video: int, **more: Any) -> dict[str, Any]:
    """A question; videos from 7 on are held out."""
    about = {"id": f"q{number}", "video": f"v{video}.mp4", "question": f"What is shown in scene {number}?"}
    split = {"split": "val"} if video >= 7 else {}
    return about | split | {"answer": "a cat", "task_type": "t", "source": "s"} | more


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    return path


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    """60 questions about 10 videos, one after another as they come; some are repeated, malformed or of another licence."""
    chance = random.Random(0)
    rows = [row(number, chance.randrange(10), evidence=[[0.1, number / 3 + 1]]) for number in range(60)]
    rows[7]["licence"] = "MIT"
    rows[9] = rows[8] | {"id": "q9", "question": "what is shown  in SCENE 8"}
    rows[20]["id"] = "q19"
    del rows[30]["question"]
    return written(tmp_path / "questions.jsonl", rows)


def config(questions: Path, **more: Any) -> BuildConfig:
    return BuildConfig(questions, questions.parent / "out", videos_per_shard=2, **more)


def test_it_holds_the_plan_the_hash_and_the_rejects_of_the_whole_file(
    questions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "excluded.txt").write_text("v3\n")
    monkeypatch.setattr("videorouter.data_builders.building.question_sorter.AT_ONCE", 5)
    assert AT_ONCE > 60
    options = config(questions, exclude=tmp_path / "excluded.txt", near_duplicates=0.9)
    index = index_questions(options)
    found, rejects = read_questions(questions, "questions_jsonl")
    kept, left_out = decontaminate(found, options.exclude, options.near_duplicates)
    planned = plan_shards(kept, options.out, 2)
    assert {reject.verdict for reject in index.rejects} == {"duplicate", "malformed", "excluded", "near_duplicate"}
    assert index.rejects == [*rejects, *left_out]
    assert index.hash == questions_hash(kept)
    assert index.licences == ["MIT", "unstated"]
    assert [job.path for job in index.jobs] == [job.path for job in planned]
    assert [list(job.videos) for job in index.jobs] == [list(job.videos) for job in planned]
    assert [list(job.counts) for job in index.jobs] == [list(job.counts) for job in planned]


def test_a_job_reads_the_lines_of_its_own_shards_alone(questions: Path) -> None:
    whole = index_questions(config(questions))
    wanted = list(whole.jobs[2].videos)
    content = bytearray((whole.out / INDEX).read_bytes())
    for shard in (shard for number, shard in enumerate(whole.contents.shards) if number != 2):
        content[shard.start : shard.start + shard.length] = b"x" * shard.length
    (whole.out / INDEX).write_bytes(content)
    jobs = index_questions(config(questions)).jobs
    assert list(jobs[2].videos) == wanted
    assert sum(len(job.videos) for job in jobs) == sum(len(job.videos) for job in whole.jobs) == 10
    with pytest.raises(ValueError, match="Invalid JSON"):
        list(jobs[0].videos)


def test_another_process_gets_the_videos_themselves(questions: Path) -> None:
    job = index_questions(config(questions)).jobs[0]
    sent = pickle.loads(pickle.dumps(job))
    assert sent == job
    assert sent.videos == tuple(job.videos)


def test_other_contents_or_options_make_another_index_and_an_open_one_stays_readable(questions: Path) -> None:
    before = index_questions(config(questions))
    first = list(before.jobs[0].videos)
    written(questions, [row(0, 0), row(1, 1)])
    after = index_questions(config(questions))
    assert len(after.jobs) == 1
    assert list(before.jobs[0].videos) == first
    assert len(index_questions(BuildConfig(questions, before.out, videos_per_shard=1)).jobs) == 2


def test_an_answer_file_beside_the_questions_counts_as_they_do(tmp_path: Path) -> None:
    asked = [{"video_name": "v", "question": "Why?", "question_id": "v_1"}]
    (tmp_path / "val_q.json").write_text(json.dumps(asked))
    hashes = set()
    for answer in ("yes", "no"):
        (tmp_path / "val_a.json").write_text(json.dumps([{"answer": answer, "type": 3, "question_id": "v_1"}]))
        hashes.add(
            index_questions(BuildConfig(tmp_path / "val_q.json", tmp_path / "out", source="activitynet_qa")).hash
        )
    assert len(hashes) == 2


def test_a_damaged_index_is_written_again(questions: Path) -> None:
    index = index_questions(config(questions))
    whole = (index.out / INDEX).read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole[:-5]):
        (index.out / INDEX).write_bytes(damaged)
        assert index_questions(config(questions)).contents == index.contents
    assert sorted(path.name for path in index.out.iterdir()) == [".questions.lock", INDEX]


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([row(0, 0), row(1, 0, split="test")], "in splits train and test: leakage"),
        ([{"id": "q"}], "holds no question of questions_jsonl: 1 rows are wrong"),
    ],
)
def test_a_file_that_cannot_be_built_from_is_refused_and_leaves_no_index(
    tmp_path: Path, rows: list[dict[str, Any]], problem: str
) -> None:
    options = config(written(tmp_path / "q.jsonl", rows))
    with pytest.raises(ValueError, match=problem):
        index_questions(options)
    assert [path.name for path in options.out.iterdir()] == [".questions.lock"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_job_of_a_million_questions_starts_in_ten_seconds_and_half_a_gigabyte(tmp_path: Path) -> None:
    with (tmp_path / "q.jsonl").open("w") as lines:
        for number in range(1_000_000):
            lines.write(json.dumps(row(number, number // 8, options=["a cat", "a dog", "a cow"], split="train")) + "\n")
    start = (
        "import resource, sys, time; from pathlib import Path\n"
        "from videorouter.data_builders.building.config import BuildConfig\n"
        "from videorouter.data_builders.building.indexing import index_questions\n"
        "begun = time.monotonic()\n"
        "jobs = index_questions(BuildConfig(Path(sys.argv[1]), Path(sys.argv[2]))).jobs\n"
        "read = [list(job.videos) for job in jobs[100:200]]\n"
        "print(time.monotonic() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)\n"
    )
    command = [sys.executable, "-c", start, str(tmp_path / "q.jsonl"), str(tmp_path / "out")]
    for most_seconds in (600, 10):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds, megabytes = map(float, done.stdout.split())
        print(f"{seconds:.1f} s, {megabytes:.0f} MB")
        assert seconds <= most_seconds
        assert megabytes <= 500
