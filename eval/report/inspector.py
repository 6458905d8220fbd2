"""Single questions on the page: which are shown, thumbnails of their videos, and every system's answer."""

import base64
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from videorouter.eval.benchmarks.items import Item
from videorouter.eval.report.joined_runs import Contender, JoinedRuns
from videorouter.eval.report.router_figures import frames_merged
from videorouter.eval.run_folder import Cell, Prediction, SampledVideo
from videorouter.routers.systems.query import letters
from videorouter.video.decode import frames_at
from videorouter.video.errors import MissingVideo, VideoError

COUNT: Final = 12
"""Thumbnails of a video."""
WIDTH: Final = 144
"""Pixels of a thumbnail's longer side."""


@dataclass(frozen=True)
class Strip:
    """JPEG data URIs with the second each is shown at, or the reason why there are none."""

    seconds: list[float]
    pictures: list[str]
    reason: str = ""


def chosen_questions(joined: JoinedRuns, count: int) -> list[tuple[str, Item]]:
    """At most `count` questions with their benchmark, a pure function of the answers.

    Groups take turns; within a group those come first that systems disagree about most, then in the order of the benchmark.
    """
    answers: dict[tuple[str, str], list[Prediction]] = defaultdict(list)
    for made in joined.answers.values():
        for predictions in made.values():
            for prediction in predictions:
                answers[prediction.benchmark, prediction.item].append(prediction)
    groups: dict[tuple[str, str], list[tuple[str, Item]]] = defaultdict(list)
    for benchmark, items in joined.items.items():
        for item in items.values():
            if (benchmark, item.id) in answers:
                groups[benchmark, item.group].append((benchmark, item))
    queues = [
        sorted(those, key=lambda one: -_disagreement(answers[one[0], one[1].id])) for _, those in sorted(groups.items())
    ]
    return [one for turn in zip_longest(*queues) for one in turn if one is not None][:count]


def inspected(
    questions: Sequence[tuple[str, Item]], joined: JoinedRuns, strips: dict[str, Strip]
) -> list[dict[str, Any]]:
    """One JSON object a question, for page.js: the video in time, its evidence, and every system's answer."""
    return [_question(benchmark, item, joined, strips) for benchmark, item in questions]


def strips_within(
    questions: Sequence[tuple[str, Item]], joined: JoinedRuns, size_limit: int
) -> tuple[dict[str, Strip], int]:
    """Strips by video, in the order of the questions, of at most `size_limit` bytes; and how many thumbnails were left out."""
    strips: dict[str, Strip] = {}
    left_out: dict[str, int] = {}
    folders = [path for path, _ in joined.runs]
    for benchmark, item in questions:
        key, video = video_key(benchmark, item), densest_sampling(joined, benchmark, item)
        if key in strips or key in left_out:
            continue
        own = strip(video, folders) if video else Strip([], [], "video not among those of the run")
        size = sum(len(picture) + 16 for picture in own.pictures)
        if size > size_limit:
            left_out[key] = len(own.pictures)
            continue
        size_limit -= size
        strips[key] = own
    return strips, sum(left_out.values())


def strip(video: SampledVideo, runs: Sequence[Path]) -> Strip:
    """Thumbnails evenly over the sampled frames of a video, whose path is that of the run, or relative to one of the `runs`."""
    given = [path for path in (Path(video.path), *(run / video.path for run in runs)) if path.is_file()]
    if not given or not video.seconds:
        return Strip([], [], "video not here")
    count = min(COUNT, len(video.seconds))
    seconds = [video.seconds[int((number + 0.5) * len(video.seconds) / count)] for number in range(count)]
    try:
        frames = frames_at(given[0], seconds).frames
    except MissingVideo:
        return Strip([], [], "video not here")
    except VideoError as error:
        return Strip([], [], f"video not readable: {error.reason}")
    return Strip([round(second, 2) for second in seconds], [_data_uri(Image.fromarray(frame)) for frame in frames])


def video_key(benchmark: str, item: Item) -> str:
    """The key of a video's strip."""
    return f"{benchmark}/{item.video.name}"


def densest_sampling(joined: JoinedRuns, benchmark: str, item: Item) -> SampledVideo | None:
    """The video in the run that sampled most frames of it."""
    found = [video for key, video in joined.videos.items() if key[:2] == (benchmark, item.video.name)]
    return max(found, key=lambda video: video.sampled, default=None)


def _disagreement(answers: list[Prediction]) -> float:
    """0 where all are right or all wrong, highest where half of them are."""
    right = sum(answer.correct for answer in answers) / len(answers)
    return right * (1 - right)


def _question(benchmark: str, item: Item, joined: JoinedRuns, strips: dict[str, Strip]) -> dict[str, Any]:
    video = densest_sampling(joined, benchmark, item)
    key = video_key(benchmark, item)
    strip = strips.get(key, Strip([], [], "thumbnails left out to keep the page small"))
    known = [(*span, "known") for span in item.truth.evidence] if item.truth else []
    marked = [
        (*span, "marked") for span in item.evidence_spans if item.truth is None or span not in item.truth.evidence
    ]
    moments: list[float] = []
    if video and item.evidence_frames:
        moments = np.interp(item.evidence_frames, video.indices, video.seconds).tolist()
    return {
        "id": item.id,
        "benchmark": benchmark,
        "video": item.video.name,
        "strip": key if strip.pictures else None,
        "why": strip.reason,
        "duration": video.duration if video else None,
        "question": item.question,
        "options": list(zip(letters(item.options), item.options, strict=True)),
        "answer": item.answer,
        "groups": list(item.groups.items()),
        "evidence": [(round(start, 2), round(end, 2), kind) for start, end, kind in (*known, *marked)],
        "moments": [round(second, 2) for second in moments],
        "answers": _answers(benchmark, item, joined),
    }


def _answers(benchmark: str, item: Item, joined: JoinedRuns) -> list[dict[str, Any]]:
    found = []
    for cell, made in joined.answers.items():
        for contender, predictions in made.items() if cell.benchmark == benchmark else ():
            found += [_answer(cell, contender, p, joined) for p in predictions if p.item == item.id]
        found += [
            {
                "cell": f"{cell.frames} frames, cap {cell.cap:,}",
                "system": joined.label(Contender(f.model, f.system)),
                "failed": f.error,
            }
            for f in joined.failures
            if f.item == item.id and Cell(f.benchmark, f.sampled, f.cap) == cell
        ]
    return found


def _answer(cell: Cell, contender: Contender, prediction: Prediction, joined: JoinedRuns) -> dict[str, Any]:
    video = joined.videos.get((cell.benchmark, prediction.video, cell.frames))
    shown = dict(zip(video.indices, video.seconds, strict=True)) if video else {}
    relevance = prediction.relevance or []
    patch = frames_merged(prediction.sampled, len(relevance)) if relevance else 1
    return {
        "cell": f"{cell.frames} frames, cap {cell.cap:,}",
        "system": joined.label(contender),
        "choice": prediction.choice,
        "text": prediction.text[:300],
        "right": prediction.correct,
        "policy": prediction.policy,
        "tokens": prediction.tokens,
        "sampled": prediction.sampled,
        "seconds": [round(second, 2) for second in video.seconds] if video else [],
        # frame number, second, tokens
        "kept": [
            (frame, round(shown[index], 2) if index in shown else None, tokens)
            for frame, index, tokens in zip(
                prediction.frames, prediction.indices, prediction.tokens_by_frame, strict=True
            )
        ],
        "relevance": [round(score, 2) for score in relevance],
        "patch": patch,
    }


def _data_uri(picture: Image.Image) -> str:
    picture.thumbnail((WIDTH, WIDTH))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=72, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
