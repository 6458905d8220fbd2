"""What the page's script shows of single questions: the video in time, its evidence, and what every system made of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from videorouter.eval.items import Item
from videorouter.eval.predictions import Cell, Prediction
from videorouter.eval.report.evidence import frames_merged
from videorouter.eval.report.gathered import Contender, Gathered
from videorouter.eval.report.thumbnails import Strip
from videorouter.eval.run_folder import Watched
from videorouter.routers.answers import letters


def video_key(benchmark: str, item: Item) -> str:
    """What a video's strip is found under."""
    return f"{benchmark}/{item.video.name}"


def watched_of(gathered: Gathered, benchmark: str, item: Item) -> Watched | None:
    """The video as it was sampled most densely."""
    found = [video for key, video in gathered.videos.items() if key[:2] == (benchmark, item.video.name)]
    return max(found, key=lambda video: video.sampled, default=None)


def inspected(
    questions: Sequence[tuple[str, Item]], gathered: Gathered, strips: dict[str, Strip]
) -> list[dict[str, Any]]:
    """One JSON object a question; the script of the page says what it reads of it."""
    return [_question(benchmark, item, gathered, strips) for benchmark, item in questions]


def _question(benchmark: str, item: Item, gathered: Gathered, strips: dict[str, Strip]) -> dict[str, Any]:
    watched = watched_of(gathered, benchmark, item)
    key = video_key(benchmark, item)
    strip = strips.get(key, Strip([], [], "thumbnails left out to keep the page small"))
    known = [(*span, "known") for span in item.truth.evidence] if item.truth else []
    marked = [
        (*span, "marked") for span in item.evidence_spans if item.truth is None or span not in item.truth.evidence
    ]
    moments: list[float] = []
    if watched and item.evidence_frames:
        moments = np.interp(item.evidence_frames, watched.indices, watched.seconds).tolist()
    return {
        "id": item.id,
        "benchmark": benchmark,
        "video": item.video.name,
        "strip": key if strip.pictures else None,
        "why": strip.reason,
        "duration": watched.duration if watched else None,
        "question": item.question,
        "options": list(zip(letters(item.options), item.options, strict=True)),
        "answer": item.answer,
        "groups": list(item.groups.items()),
        "evidence": [(round(start, 2), round(end, 2), kind) for start, end, kind in (*known, *marked)],
        "moments": [round(second, 2) for second in moments],
        "answers": _answers(benchmark, item, gathered),
    }


def _answers(benchmark: str, item: Item, gathered: Gathered) -> list[dict[str, Any]]:
    found = []
    for cell, made in gathered.answers.items():
        for contender, predictions in made.items() if cell.benchmark == benchmark else ():
            found += [_answer(cell, contender, p, gathered) for p in predictions if p.item == item.id]
        found += [
            {
                "cell": f"{cell.frames} frames, cap {cell.cap:,}",
                "system": gathered.said(Contender(f.model, f.system)),
                "failed": f.error,
            }
            for f in gathered.failures
            if f.item == item.id and Cell(f.benchmark, f.sampled, f.cap) == cell
        ]
    return found


def _answer(cell: Cell, contender: Contender, prediction: Prediction, gathered: Gathered) -> dict[str, Any]:
    watched = gathered.videos.get((cell.benchmark, prediction.video, cell.frames))
    shown = dict(zip(watched.indices, watched.seconds, strict=True)) if watched else {}
    relevance = prediction.relevance or []
    patch = frames_merged(prediction.sampled, len(relevance)) if relevance else 1
    return {
        "cell": f"{cell.frames} frames, cap {cell.cap:,}",
        "system": gathered.said(contender),
        "choice": prediction.choice,
        "text": prediction.text[:300],
        "right": prediction.correct,
        "policy": prediction.policy,
        "tokens": prediction.tokens,
        "sampled": prediction.sampled,
        "seconds": [round(second, 2) for second in watched.seconds] if watched else [],
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
