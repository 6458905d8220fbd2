"""What a benchmark asks about is left out, and so is what was asked of the same video before; each says because of what."""

import random
import time
from pathlib import Path

import pytest

from videorouter.data_builders.sources.decontamination import decontaminate, video_names
from videorouter.shards.schema import VideoQuestion


def _asked(name: str, question: str, video: str = "a.mp4", **more: object) -> VideoQuestion:
    return VideoQuestion.model_validate(
        {"id": name, "video": video, "question": question, "task_type": "t", "source": "s", **more}
    )


@pytest.mark.parametrize(
    ("line", "video"),
    [
        ("HBxn56l9WcU", "HBxn56l9WcU"),
        ("HBxn56l9WcU", "videos/HBxn56l9WcU.mp4"),
        ("bench/HBxn56l9WcU.webm", "v_HBxn56l9WcU.mp4"),
        ("v_HBxn56l9WcU", "HBxn56l9WcU.mkv"),
        ("HBxn56l9WcU", "youtube_video_2024/ytb_HBxn56l9WcU.mp4"),
        ("HBxn56l9WcU", "HBxn56l9WcU_210.0_360.0"),
        ("HBxn56l9WcU_210.0_360.0", "HBxn56l9WcU_210.0_360.0.mp4"),
        ("HBxn56l9WcU", "youcook2/101/HBxn56l9WcU/split_2.mp4"),
        ("https://www.youtube.com/watch?v=HBxn56l9WcU", "HBxn56l9WcU.mp4"),
        ("1164.v2.mp4", "nextqa/1164.v2.MP4"),
    ],
)
def test_an_excluded_video_is_known_by_any_of_its_names(tmp_path: Path, line: str, video: str) -> None:
    (tmp_path / "ids.txt").write_text(f"# a benchmark\n\n{line}\n")
    kept, rejects = decontaminate(
        [_asked("q", "What?", video), _asked("r", "What?", "other.mp4")], tmp_path / "ids.txt"
    )
    assert [question.id for question in kept] == ["r"]
    assert [(reject.item, reject.stage, reject.verdict) for reject in rejects] == [("q", "filter", "excluded")]
    assert repr(line) in rejects[0].reason


@pytest.mark.parametrize(
    ("line", "video"),
    [
        ("hbxn56l9wcu", "HBxn56l9WcU.mp4"),
        ("HBxn56l9Wc", "HBxn56l9WcU.mp4"),
        ("video_files/b.mp4", "video_files/a.mp4"),
        ("clip", "clip_1_2.mp4"),
        ("nextqa", "nextqa/1164.mp4"),
    ],
)
def test_other_videos_stay(tmp_path: Path, line: str, video: str) -> None:
    (tmp_path / "ids.txt").write_text(line)
    assert decontaminate([_asked("q", "What?", video)], tmp_path / "ids.txt")[1] == []


def test_a_list_that_excludes_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("# nothing\n\n")
    with pytest.raises(ValueError, match="excludes nothing"):
        decontaminate([], tmp_path / "ids.txt")
    with pytest.raises(ValueError, match="no list of excluded videos"):
        decontaminate([], tmp_path / "missing.txt")


def test_a_question_asked_twice_of_a_video_is_kept_once_and_of_two_videos_twice() -> None:
    questions = [
        _asked("first", "What does the man hold?", answer="a cup"),
        _asked("again", "what does a man hold", answer="A cup."),
        _asked("elsewhere", "What does the man hold?", "b.mp4", answer="a cup"),
        _asked("otherwise", "What does the man hold?", answer="a hat"),
    ]
    kept, rejects = decontaminate(questions)
    assert [question.id for question in kept] == ["first", "elsewhere", "otherwise"]
    assert [(reject.item, reject.verdict) for reject in rejects] == [("again", "near_duplicate")]
    assert "what first does" in rejects[0].reason


def test_options_and_moments_make_another_question() -> None:
    choices = [
        _asked("1", "What is held?", options=["cup", "hat"], answer="cup"),
        _asked("2", "What is held?", options=["Hat", "cup"], answer="cup"),
        _asked("3", "What is held?", options=["cup", "dog"], answer="cup"),
    ]
    assert [reject.item for reject in decontaminate(choices)[1]] == ["2"]
    moments = [
        _asked("1", "person opens the door", evidence=[[0, 4]]),
        _asked("2", "person opens a door", evidence=[[20, 25]]),
        _asked("3", "a person opens the door", evidence=[[3, 6]]),
    ]
    assert [reject.item for reject in decontaminate(moments)[1]] == ["3"]


def test_the_threshold_says_how_near() -> None:
    long = "why did one small boy in red shoes run behind his tall sister on green grass"
    questions = [_asked("1", long), _asked("2", long.replace("grass", "lawn"))]
    assert [len(decontaminate(questions, threshold=t)[1]) for t in (0.8, 0.9, 1.0)] == [1, 0, 0]
    assert len(decontaminate([questions[0], questions[0]], threshold=None)[0]) == 2
    with pytest.raises(ValueError, match="above 0"):
        decontaminate([], threshold=0)


def test_none_is_missed_that_comparing_all_pairs_finds() -> None:
    draw = random.Random(0)
    words = [f"w{number}" for number in range(12)]
    questions = [_asked(str(n), " ".join(draw.choices(words, k=draw.randint(1, 12)))) for n in range(400)]
    for threshold in (0.5, 0.75, 0.9):
        kept: list[VideoQuestion] = []
        for question in questions:
            bag = set(question.question.split())
            others = (set(other.question.split()) for other in kept)
            if not any(len(bag & other) / len(bag | other) >= threshold for other in others):
                kept.append(question)
        assert decontaminate(questions, threshold=threshold)[0] == kept


def test_many_questions_take_seconds(tmp_path: Path) -> None:
    draw = random.Random(0)
    words = ["what", "is", "in", "does"] * 50 + [f"w{number}" for number in range(2000)]
    questions = [_asked(str(n), " ".join(draw.choices(words, k=10)), f"{n % 500}.mp4") for n in range(20_000)]
    (tmp_path / "ids.txt").write_text("7\n")
    started = time.perf_counter()
    kept, rejects = decontaminate(questions, tmp_path / "ids.txt")
    assert time.perf_counter() - started < 20
    assert len(rejects) == 40
    assert len(kept) == 20_000 - 40


def test_names_of_a_video() -> None:
    assert video_names("a/b/v_x.mp4") == {"v_x", "x"}
