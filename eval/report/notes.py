"""What a reader of the figures must know: notes that follow from the runs, and the provenance in their manifests."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from videorouter.eval.report.figures import CellFigures
from videorouter.eval.report.joined_runs import JoinedRuns

FEW_VIDEOS = 30
EXPECTED: Final = (
    "versions",
    "machine",
    "models",
    "seeds",
    "prompt",
    "frames",
    "sampler",
    "decoder",
    "dtype",
    "subtitles",
    "scoring",
)
"""What a manifest should say; a key counts that contains one of these words, without the plural's s."""


def notes(figures: Sequence[CellFigures], joined: JoinedRuns, mix_budgets: bool) -> list[str]:
    """Sentences, the most serious first."""
    rows = [row for own in figures for row in own.rows]
    failed, unparsed = sum(row.failed for row in rows), sum(row.summary.unparsed for row in rows)
    few = min(own.videos for own in figures)
    stages = {stage for row in rows for stage in row.summary.seconds_by_stage}
    found = []
    if mix_budgets and any(not row.equal and not row.apart for row in rows):
        found.append(
            "Budgets are mixed: rows marked ≠ were fed other tokens than the reference, and are no comparison at equal cost."
        )
    if failed:
        found.append(
            f"{_answers(failed)} could not be given. Accuracy is over the answers there are; the column “failed” counts the others."
        )
    if unparsed:
        found.append(f"{_answers(unparsed)} named no option, and counted as wrong.")
    if unread := {name for (_, name, _), video in joined.videos.items() if video.unread_subtitles}:
        found.append(
            f"Subtitles of {len(unread)} video{'' if len(unread) == 1 else 's'} could not be read, and their questions were asked "
            "without: videos.jsonl says why."
        )
    if few < FEW_VIDEOS:
        found.append(
            f"A cell holds only {few} videos. Intervals resample whole videos, and are rough below {FEW_VIDEOS}."
        )
    if any(stage.startswith("shared ") for stage in stages):
        found.append(
            "Systems or questions shared passes of the model: seconds of “shared” stages are no latency of a question asked alone."
        )
    if stages & {"decode", "vision"}:
        found.append(
            "Decoding and vision encoding are counted in full with every question, though a video is encoded once for "
            "all of its questions."
        )
    if any(row.kind == "bound" for row in rows):
        found.append(
            "“oracle” is told which frames hold the evidence. It is a bound, not a system, and never on a Pareto front."
        )
    if any(row.kind == "control" for row in rows):
        found.append(
            "“blind” saw no frame, and “shuffled+” systems the options in another order: controls, never on a Pareto front."
        )
    if len(joined.runs) > 1:
        found.append(f"{len(joined.runs)} runs are joined: seconds compare only where their machines are the same.")
    if len(figures) > 1 and not mix_budgets:
        found.append(
            "Every benchmark, number of frames and budget is a table of its own; rows of different tables are not compared."
        )
    for path, manifest in joined.runs:
        if missing := missing_facts(manifest):
            found.append(f"The manifest of {path.name} does not say: {', '.join(missing)}.")
    return found


def facts(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """Name and value of everything in a manifest, `machine.cpu` for nested ones; the expected names first."""
    found = list(_flat("", manifest))
    return sorted(
        found, key=lambda fact: next((n for n, word in enumerate(EXPECTED) if _names(word, fact[0])), len(EXPECTED))
    )


def missing_facts(manifest: dict[str, Any]) -> list[str]:
    """The expected words that no key contains."""
    names = [name for name, _ in facts(manifest)]
    return [word for word in EXPECTED if not any(_names(word, name) for name in names)]


def _answers(count: int) -> str:
    return f"{count:,} answer{'' if count == 1 else 's'}"


def _names(word: str, fact: str) -> bool:
    return word.rstrip("s") in fact.lower()


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}" if name else str(key), inner)
    elif isinstance(value, list) and not any(isinstance(inner, dict | list) for inner in value):
        yield name, ", ".join(map(_plain, value)) or "none"
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _flat(f"{name}[{number}]", inner)
    elif name:
        yield name, _plain(value) if value != {} else "none"


def _plain(value: Any) -> str:
    return (
        {True: "yes", False: "no", None: "none"}.get(value, str(value))
        if isinstance(value, bool | None)
        else str(value)
    )
