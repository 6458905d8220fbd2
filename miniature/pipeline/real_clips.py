"""Builders and answers on real clips: joined videos, marked spans, portrait and landscape files. Accuracy is not the point here."""

import json
import os
import sys
from pathlib import Path

from rich.console import Console

from videorouter.miniature.pipeline.stages import StageFailed, Stages

DATA = "VIDEOROUTER_REAL_DATA"
HAYSTACK = "haystack_16clips_10fps"
CHARADES_ID, CHARADES_FILE = "Y1HGC", "univtg_charades.mp4"
ANSWERED = {
    "flipping_a_pancake.mkv": "What is flipped in the pan?",
    "videollava_sample_demo_22.mp4": "Describe the activity in the video.",
}


def demo_real(out: Path = Path("runs/demo-real")) -> None:
    """Join real clips, label real spans, check both, and answer about two real clips with a random miniature base.

    Args:
        out: Folder for everything; finished shards in it are kept.

    Raises:
        ValueError: where the environment variable VIDEOROUTER_REAL_DATA names no folder with `videos` and `annotations`.
    """
    data = Path(os.environ.get(DATA, ""))
    if DATA not in os.environ or not (data / "videos").is_dir():
        raise ValueError(f"set {DATA} to a folder with `videos` and `annotations`; it is {os.environ.get(DATA)!r}")
    stages = Stages(Console(markup=False))
    try:
        _build(data, out, stages)
        _check(data, out, stages.console)
        _answer(data, out, stages)
    except StageFailed as failure:
        stages.console.print(str(failure), style="bold red")
        sys.exit(1)


def _build(data: Path, out: Path, stages: Stages) -> None:
    clips, lines = out / "clips", out / "charades.txt"
    clips.mkdir(parents=True, exist_ok=True)
    for file in sorted((data / "videos").glob("*.*")):
        link = clips / file.name
        if file.suffix != ".json" and not file.name.startswith(HAYSTACK) and not link.exists():
            link.symlink_to(file.resolve())
    annotated = (data / "annotations" / "charades_sta" / "charades_sta_test.txt").read_text(encoding="utf-8")
    lines.write_text("".join(line + "\n" for line in annotated.splitlines() if line.startswith(f"{CHARADES_ID} ")))
    (out / "video_map.json").write_text(json.dumps({CHARADES_ID: CHARADES_FILE}))
    stages.run(
        "join real clips", "data_builders", "flr", "splice", "--config", "configs/build/flr_splice.yaml",
        "--videos", clips, "--allow_outside", "--frames", "128", "--out", out / "splice",
    )  # fmt: skip
    stages.run(
        "label a video that was joined before", "data_builders", "flr", "spans", "--config", "configs/build/flr_spans.yaml",
        "--source", "segments", "--questions", data / "videos" / f"{HAYSTACK}.segments.json",
        "--videos", data / "videos", "--out", out / "haystack",
    )  # fmt: skip
    stages.run(
        "label spans that people marked", "data_builders", "flr", "spans", "--config", "configs/build/flr_spans.yaml",
        "--questions", lines, "--videos", data / "videos", "--video_map", out / "video_map.json", "--out", out / "charades",
    )  # fmt: skip
    for name in ("splice", "haystack", "charades"):
        stages.run(f"verify {name}", "shards", "verify", out / name)


def _check(data: Path, out: Path, console: Console) -> None:
    """Check the built labels against the annotation files, read here anew. Raises `StageFailed`."""
    from videorouter.shards.reader import ShardDataset

    segments = json.loads((data / "videos" / f"{HAYSTACK}.segments.json").read_text())["segments"]
    haystack = ShardDataset(out / "haystack")[0]
    wrong = sum(
        flag != (segment["start"] <= second < segment["end"])
        for segment, labelled in zip(segments, haystack.questions, strict=True)
        if labelled.relevance
        for second, flag in zip(haystack.video.seconds, labelled.relevance.relevant, strict=True)
    )
    console.print(f"{HAYSTACK}: {wrong} of {len(segments) * len(haystack.jpegs)} frame labels differ from its segments")
    pairs = json.loads((data / "annotations" / "video_question_pairs.json").read_text())[CHARADES_FILE]["charades_sta"]
    charades = ShardDataset(out / "charades")[0]
    for (start, end, sentence), labelled in zip(pairs, charades.questions, strict=True):
        assert labelled.relevance is not None
        expected = [start <= second < end for second in charades.video.seconds]
        wrong += labelled.question.question != sentence or labelled.relevance.relevant != expected
        console.print(f"{CHARADES_FILE}: {sum(expected)} of {len(expected)} frames show {sentence!r} ({start}-{end} s)")
    if wrong:
        raise StageFailed(f"{wrong} labels differ from the annotations")


def _answer(data: Path, out: Path, stages: Stages) -> None:
    from videorouter.miniature.pretraining.model import write_untrained_router

    router = out / "router"
    if not (router / "config.json").exists():
        write_untrained_router(router, out / "base")
    stages.console.print("base and routers are random here: the answers below prove that real files run, nothing else")
    for video, question in ANSWERED.items():
        stages.run(
            f"answer about {video}", "routers", "answer", "--model", router, "--video", data / "videos" / video,
            "--question", question, "--policy", "fragment",
        )  # fmt: skip
