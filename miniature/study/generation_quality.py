"""Generated questions checked against the scenes of the world: their evidence, their answers, and what the filters caught."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from videorouter.data_builders.flr.filters import GENERATED
from videorouter.data_builders.rejects import QUARANTINE, Reject, read_rejects
from videorouter.data_builders.teacher.replies import ProposedQuestion
from videorouter.miniature.study.label_quality import mean
from videorouter.miniature.teacher.answers import NEEDED, agree, frame_scores
from videorouter.miniature.teacher.faults import Misreadings
from videorouter.miniature.teacher.perception import Perceived
from videorouter.miniature.world.frame import PLACE_NAMES
from videorouter.miniature.world.scenes import Scene, Script
from videorouter.miniature.world.wordings import Intent, parse
from videorouter.shards.reader import ShardDataset
from videorouter.shards.schema import LabelledQuestion
from videorouter.video.sampling import SAMPLERS

ACCEPTED: Final = "accepted"
SEVERAL: Final = "several"


@dataclass(frozen=True)
class WrittenQuestion:
    """A question that a build wrote, the frames `[T]` it gave as evidence, and its `fate`: a filter's name, or accepted."""

    video: str
    question: str
    options: Sequence[str] | None
    answer: str
    evidence: Sequence[bool]
    fate: str


@dataclass(frozen=True)
class GenerationQuality:
    """What was written, against the truth.

    `precision` and `recall` of evidence frames are means over accepted fragment questions; `exact` is the share of all
    accepted questions whose evidence is the truth, frame for frame, `right` of those whose answer is; None where nothing was
    accepted. `caught` counts, for each way of misreading behind a bad question (one that is not exact and right), its fates;
    `good_put_aside` counts good questions that a filter refused.
    """

    accepted: int
    precision: float | None
    recall: float | None
    exact: float | None
    right: float | None
    good_put_aside: int
    caught: dict[str, dict[str, int]]


def check_generated(
    world: Path, shards: Path, bad_captions: float = 0.0, seed: int = 0, json_out: Path | None = None
) -> None:
    """Print how well generated questions agree with a world, and what the filters caught.

    Args:
        world: Folder of the world, with its scenes.jsonl.
        shards: Folder written by `flr generate` from the world's videos.
        bad_captions: As the teacher had it, so that bad questions can be put down to what was planted.
        seed: As the teacher had it.
        json_out: Write the figures there, too.

    Raises:
        ValueError: where a question is about a video that is not of this world.
    """
    from rich.console import Console
    from rich.table import Table

    scripts = read_scenes(world)
    quality = measure_generated(scripts, written_in(shards, scripts), Misreadings(bad_captions, seed))
    figures = Table(*(name for name in asdict(quality) if name != "caught"), title="generated questions")
    figures.add_row(
        *(f"{v:.4f}" if isinstance(v, float) else str(v) for n, v in asdict(quality).items() if n != "caught")
    )
    fates = (*GENERATED, ACCEPTED)
    table = Table("misread", "bad", *fates, title="bad questions, and what caught them")
    for kind, counts in quality.caught.items():
        table.add_row(kind, str(sum(counts.values())), *(str(counts.get(fate, 0)) for fate in fates))
    Console(markup=False).print(figures, table)
    if json_out:
        json_out.write_text(json.dumps(asdict(quality), indent=2), encoding="utf-8")


def read_scenes(world: Path) -> dict[str, Script]:
    """What the videos of a world show, by file name without extension."""
    with (world / "scenes.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return {
        Path(row["video"]).stem: Script(
            tuple(Scene(**scene | {"glyphs": tuple(scene["glyphs"])}) for scene in row["scenes"]),
            row["total"],
            row["fps"],
        )
        for row in rows
    }


def written_in(shards: Path, scripts: dict[str, Script]) -> Iterator[WrittenQuestion]:
    """All questions of a build: those in its shards, and those that its filters put aside.

    Raises `ValueError` for a question about another video than those of `scripts`.
    """
    frames = 0
    dataset = ShardDataset(shards)
    for index in range(len(dataset)):
        sample = dataset[index]
        frames = len(sample.video.indices)
        for labelled in sample.questions:
            yield accepted(labelled)
    yield from put_aside(read_rejects(shards / QUARANTINE), frames)


def accepted(labelled: LabelledQuestion) -> WrittenQuestion:
    """A question that passed."""
    intent = labelled.question
    assert intent.answer is not None
    assert labelled.relevance is not None
    return WrittenQuestion(
        Path(intent.video).stem, intent.question, intent.options, intent.answer, labelled.relevance.relevant, ACCEPTED
    )


def put_aside(rejects: Iterable[Reject], frames: int) -> Iterator[WrittenQuestion]:
    """Those questions among `rejects`, about videos of `frames` sampled frames, that a filter put aside."""
    for reject in rejects:
        if reject.stage == "filter" and reject.raw:
            proposal = ProposedQuestion.model_validate_json(reject.raw)
            evidence = [number in proposal.evidence for number in range(1, frames + 1)]
            video = reject.item.rsplit("-g", 1)[0].rsplit("-", 1)[0]
            yield WrittenQuestion(
                video, proposal.question, proposal.options or None, proposal.answer, evidence, reject.verdict
            )


def measure_generated(
    scripts: dict[str, Script], written: Iterable[WrittenQuestion], misreadings: Misreadings
) -> GenerationQuality:
    """Check questions against the scenes; `misreadings` are those of the teacher that wrote them."""
    precisions, recalls, exact, right = [], [], [], []
    good_put_aside, caught = 0, dict[str, Counter[str]]()
    for one in written:
        if one.video not in scripts:
            raise ValueError(f"video {one.video} is not of this world: give the world the questions were built from")
        shown = _shown(scripts[one.video], len(one.evidence))
        intent = parse(one.question)
        truth = [score >= NEEDED for score in frame_scores(intent, shown)]
        answered = _is_answer(intent, shown, truth, one)
        if one.fate == ACCEPTED:
            right.append(answered)
            exact.append(list(one.evidence) == truth)
            if intent and intent.policy == "fragment":
                hits = sum(a and b for a, b in zip(one.evidence, truth, strict=True))
                precisions.append(hits / max(1, sum(one.evidence)))
                recalls.append(hits / max(1, sum(truth)))
        if answered and list(one.evidence) == truth:
            good_put_aside += one.fate != ACCEPTED
        else:
            caught.setdefault(_misread(one, truth, shown, misreadings), Counter())[one.fate] += 1
    return GenerationQuality(
        len(right),
        mean(precisions),
        mean(recalls),
        mean(exact),
        mean(right),
        good_put_aside,
        {kind: dict(caught[kind]) for kind in sorted(caught)},
    )


def _shown(script: Script, frames: int) -> list[Perceived]:
    """What each of the sampled frames shows, from the script alone."""
    spans = [(script.frames_of(scene), scene) for scene in script.scenes]
    taken = SAMPLERS["segment_midpoint"](script.total, frames)
    scenes = [next(scene for (first, end), scene in spans if first <= index < end) for index in taken]
    return [
        Perceived(scene.background, scene.figure, dict(zip(PLACE_NAMES, scene.glyphs, strict=True))) for scene in scenes
    ]


def _is_answer(intent: Intent | None, shown: Sequence[Perceived], truth: Sequence[bool], one: WrittenQuestion) -> bool:
    """Whether every frame that the question fits gives the written answer."""
    fitting = [frame for frame, carries in zip(shown, truth, strict=True) if carries]
    return intent is not None and bool(fitting) and agree(intent, fitting, one.options) == one.answer


def _misread(one: WrittenQuestion, truth: Sequence[bool], shown: Sequence[Perceived], misreadings: Misreadings) -> str:
    """What was planted in the frames that the question is about, or should have been."""
    about = [frame for frame, *marks in zip(shown, one.evidence, truth, strict=True) if any(marks)]
    kinds = {kind for frame in about if (kind := misreadings.of(frame))}
    return SEVERAL if len(kinds) > 1 else kinds.pop() if kinds else "nothing planted"
