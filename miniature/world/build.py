"""The world on disk: `videos/*.mp4`, `questions.jsonl` and, apart, `truth.jsonl` and `scenes.jsonl`."""

import json
import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any, Final

from videorouter.interruption import belong_to_parent, starting_processes
from videorouter.miniature.world.questions import ask
from videorouter.miniature.world.render import write_video
from videorouter.miniature.world.scenes import Script, write_script

SPLITS: Final = ("train", "val", "test")
Row = dict[str, Any]


@dataclass(frozen=True)
class WorldPlan:
    """Everything a video of the world is a pure function of, besides its index."""

    seconds: float = 60.0
    longest: float | None = None
    fps: int = 8
    scenes: tuple[int, int] = (32, 64)
    questions: int = 12
    crf: int = 12
    seed: int = 0

    def script(self, index: int) -> Script:
        """What happens in the video of that index."""
        random = Random(f"script {self.seed} {index}")
        seconds = self.seconds if self.longest is None else random.uniform(self.seconds, self.longest)
        return write_script(random, round(seconds * self.fps), self.fps, self.scenes)


def build_world(
    out: Path,
    videos: int = 40,
    seconds: float = 60.0,
    seed: int = 0,
    *,
    longest: float | None = None,
    fps: int = 8,
    scenes: tuple[int, int] = (32, 64),
    questions_per_video: int = 12,
    splits: tuple[int, int, int] = (60, 20, 20),
    crf: int = 12,
    workers: int = 2,
) -> None:
    """Render a world of videos with questions and, apart, the truth about them. Same arguments, same bytes.

    Args:
        out: Folder to write: videos/*.mp4, questions.jsonl, truth.jsonl, scenes.jsonl.
        videos: How many videos.
        seconds: Length of each video.
        seed: Another seed is another world.
        longest: Where given, lengths are drawn from seconds..longest.
        fps: Frames a second; a video needs at least 128 frames.
        scenes: Fewest and most scenes a video has, within 24..64.
        questions_per_video: Different questions a video; six in ten are fragment questions.
        splits: Percentages of train, val and test videos, taken in order of index.
        crf: Quality of the H.264 encoding, lower is better; above 24 symbols begin to blur.
        workers: Processes that render.

    Raises:
        ValueError: where the numbers do not describe a world.
    """
    if videos < 1 or workers < 1:
        raise ValueError("a world needs at least one video and one worker")
    if min(splits) < 0 or sum(splits) != 100:
        raise ValueError(f"splits are three percentages that sum to 100, not {splits}")
    if longest is not None and longest < seconds:
        raise ValueError(f"longest ({longest:g} s) is below seconds ({seconds:g} s)")
    plan = WorldPlan(seconds, longest, fps, scenes, questions_per_video, crf, seed)
    (out / "videos").mkdir(parents=True, exist_ok=True)
    jobs = [(index, split_of(index, videos, splits)) for index in range(videos)]
    make = partial(build_video, out, plan)
    if workers == 1:
        made = list(map(make, jobs))
    else:
        context = get_context("spawn")
        with ProcessPoolExecutor(min(workers, videos), mp_context=context, initializer=belong_to_parent) as pool:
            with starting_processes():
                building = pool.map(make, jobs)
            made = list(building)
    _write_lines(out / "questions.jsonl", (question for questions, _, _ in made for question in questions))
    _write_lines(out / "truth.jsonl", (truth for _, truths, _ in made for truth in truths))
    _write_lines(out / "scenes.jsonl", (shown for _, _, shown in made))
    print(f"{videos} videos and {sum(len(questions) for questions, _, _ in made)} questions in {out}")


def split_of(index: int, videos: int, splits: tuple[int, int, int] = (60, 20, 20)) -> str:
    """The split a video belongs to: the first ones train, the next validate, the rest test."""
    ends = (splits[0] * videos / 100, (splits[0] + splits[1]) * videos / 100)
    return SPLITS[sum(index >= round(end) for end in ends)]


def build_video(out: Path, plan: WorldPlan, job: tuple[int, str]) -> tuple[list[Row], list[Row], Row]:
    """Write one video; its questions, the truth about them and the scenes it shows, as rows."""
    index, split = job
    name = f"miniature-{index:04d}"
    script = plan.script(index)
    target = out / "videos" / f"{name}.mp4"
    unfinished = target.with_suffix(".part")
    write_video(unfinished, script, plan.crf)
    os.replace(unfinished, target)
    questions, truths = [], []
    for number, question in enumerate(ask(script, Random(f"ask {plan.seed} {index}"), split, plan.questions)):
        identity = f"{name}-q{number:02d}"
        questions.append(
            {
                "id": identity,
                "video": f"videos/{target.name}",
                "question": question.text,
                "options": list(question.options),
                "answer": question.answer,
                "task_type": question.intent.kind,
                "evidence": None,
                "split": split,
                "source": "miniature",
                "licence": "Apache-2.0",
            }
        )
        truths.append(
            {
                "id": identity,
                "policy": question.intent.policy,
                "evidence_seconds": [[first / script.fps, end / script.fps] for first, end in question.evidence],
                "evidence_frames": [[first, end] for first, end in question.evidence],
            }
        )
    return questions, truths, {"video": f"videos/{target.name}", **asdict(script)}


def _write_lines(path: Path, rows: Iterable[Row]) -> None:
    unfinished = path.with_suffix(".part")
    unfinished.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    os.replace(unfinished, path)
