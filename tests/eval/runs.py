"""Run folders as an evaluation leaves them, with made-up answers: what the report is tried on."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from random import Random

from tests.video.ffmpeg import ffmpeg
from videorouter.eval.benchmarks.items import Item, KnownTruth
from videorouter.eval.run_folder import (
    FAILURES,
    ITEMS,
    MANIFEST,
    PREDICTIONS,
    VIDEOS,
    Failure,
    Prediction,
    SampledVideo,
    append_predictions,
    item_row,
    write_rows,
)
from videorouter.routers.systems.spec import Kind

SKILL = {
    "videorouter": 0.74, "uniform_pooling": 0.58, "frame_budget": 0.52, "vidcom2": 0.62, "adapttoken_lite(max_entropy=0.3)": 0.66,
    "dense": 0.78, "oracle": 0.86,
}  # fmt: skip
"""How often a made-up system is right at the wider cap."""
KINDS: dict[str, Kind] = {"dense": "reference", "oracle": "bound"}
"""Of systems that are not compared."""
SPEED = {"videorouter": 0.7, "uniform_pooling": 0.5, "frame_budget": 0.5, "vidcom2": 0.9, "dense": 2.4, "oracle": 0.6}
GROUPS = (
    {"task": "needle", "length": "short"},
    {"task": "counting", "length": "long"},
    {"task": "plot & order", "length": "long"},
)
CAPS = (512, 1024)
PER_FRAME = 64


def write_videos(out: Path, count: int) -> list[Path]:
    """Real files of 20 s, 8 frames a second: `seen-0.mp4`, `seen-1.mp4`, ..."""
    out.mkdir(parents=True, exist_ok=True)
    files = [out / f"seen-{number}.mp4" for number in range(count)]
    for number, file in enumerate(files):
        picture = f"testsrc=size=160x90:rate=8:duration=20,hue=h={60 * number}"
        ffmpeg("-f", "lavfi", "-i", picture, "-c:v", "libx264", "-preset", "ultrafast", file)
    return files


def write_run(
    out: Path,
    *,
    videos: Sequence[Path] = (),
    unseen: int = 12,
    questions: int = 6,
    systems: Sequence[str] = tuple(SKILL),
    benchmark: str = "mlvu",
    sampled: int = 32,
    seed: int = 0,
) -> Path:
    """A run over real `videos` and `unseen` ones that have no file, `questions` each, at two caps."""
    random, seconds = Random(seed), 20.0
    files = [*videos, *(Path(f"/nowhere/unseen-{number:02}.mp4") for number in range(unseen))]
    items, made = [], []
    moments = [seconds * (frame + 0.5) / sampled for frame in range(sampled)]
    watched = [
        SampledVideo(benchmark, path.name, str(path), sampled, [int(8 * s) for s in moments], moments, seconds)
        for path in files
    ]
    for number, path in enumerate(path for path in files for _ in range(questions)):
        item = _item(number, path, random, seconds)
        items.append(item)
        relevance = [
            round(min(1.0, 0.75 * any(a <= s < b for a, b in item.evidence_spans) + 0.25 * random.random()), 4)
            for s in moments
        ]
        ease = random.gauss(0, 0.15)
        for cap in CAPS:
            for system in systems:
                right = random.random() < SKILL[system] + ease - 0.06 * (cap < CAPS[1])
                made.append(_answer(item, benchmark, system, cap, sampled, relevance, right, random))
    out.mkdir(parents=True, exist_ok=True)
    failures = [
        Failure(
            benchmark,
            items[-1].id,
            items[-1].video.name,
            "tiny",
            name,
            sampled,
            CAPS[1],
            "the answer took more than 60 s",
        )
        for name in systems[1:2]
    ]
    gone = {(f.item, f.system, f.cap) for f in failures}
    append_predictions(out / PREDICTIONS, (p for p in made if (p.item, p.system, p.cap) not in gone))
    write_rows(out / ITEMS, [item_row(benchmark, item) for item in items])
    write_rows(out / VIDEOS, [asdict(video) for video in watched])
    write_rows(out / FAILURES, [asdict(failure) for failure in failures])
    (out / MANIFEST).write_text(json.dumps(_manifest(sampled, seed)))
    return out


def _item(number: int, path: Path, random: Random, seconds: float) -> Item:
    start = random.uniform(0, seconds - 3)
    span = (round(start, 2), round(start + random.uniform(1, 3), 2))
    options = ("red circle", "blue star", "green heart", "a white square beside <the> door")
    groups = GROUPS[number % len(GROUPS)]
    item = Item(
        f"q{number:03}",
        path,
        f"Which shape is shown {number + 1} scenes before the “K”?",
        options,
        random.choice("ABCD"),
        groups,
    )
    if number % 3 == 2:
        return replace(item, evidence_spans=(span,), evidence_frames=(int(8 * span[0]), int(8 * span[1])))
    return replace(item, truth=KnownTruth("fragment", (span,)), evidence_spans=(span,))


def _answer(
    item: Item, benchmark: str, system: str, cap: int, sampled: int, relevance: list[float], right: bool, random: Random
) -> Prediction:
    if system == "dense":
        given = {frame: PER_FRAME for frame in range(sampled)}
    elif system in ("videorouter", "oracle"):
        best = sorted(range(sampled), key=lambda frame: -relevance[frame])
        full = (cap - 4 * sampled) // (PER_FRAME - 4)
        given = {frame: PER_FRAME if frame in best[:full] else 4 for frame in range(sampled)}
        given[best[full]] += cap - sum(given.values())
    else:
        kept = cap // PER_FRAME
        given = {int((n + 0.5) * sampled / kept): PER_FRAME for n in range(kept)}
    wrong: list[str | None] = [letter for letter in "ABCD" if letter != item.answer]
    choice = item.answer if right else random.choice([*wrong, *([None] if random.random() < 0.1 else [])])
    busy = SPEED.get(system, 0.8) * sum(given.values()) / 512 * random.uniform(0.9, 1.1)
    stages = {
        "decode": 0.4,
        "vision": 0.3,
        "route": 0.25 if "router" in system else 0.02,
        "prefill": 0.5 * busy,
        "generate": 0.2,
    }
    return Prediction(
        benchmark, item.id, item.video.name, item.group, "tiny", system, sampled, cap, cap, sum(given.values()), list(given),
        [int(8 * 20.0 * (frame + 0.5) / sampled) for frame in given], list(given.values()),
        relevance if "router" in system else None, "fragment" if "router" in system else None, "house@1a2b3c",
        choice or "I see a door.",
        choice, item.answer, len(item.options), stages, KINDS.get(system, "compared"),
    )  # fmt: skip


def _manifest(sampled: int, seed: int) -> dict[str, object]:
    return {
        "versions": {"videorouter": "0.1.0", "torch": "2.11.0", "transformers": "5.17.0", "python": "3.11.2"},
        "machine": {"cpu": "made up, 2 cores", "gpu": None},
        "models": {"tiny": "miniature/shipped/robust-router"},
        "seeds": {"bootstrap": 0, "run": seed},
        "prompts": ["house@1a2b3c"],
        "frames": sampled, "sampler": "segment_midpoint", "decoder": "seeking", "dtype": "float32", "subtitles": False,
        "scoring": "likelihood",
    }  # fmt: skip
