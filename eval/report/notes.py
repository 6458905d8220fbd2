"""What a reader of the figures must know: every note follows from the run, none is always there for decoration."""

from collections.abc import Sequence

from videorouter.eval.controls import is_control
from videorouter.eval.report.apart import knows_truth
from videorouter.eval.report.cells import CellFigures
from videorouter.eval.report.gathered import Gathered
from videorouter.eval.report.provenance import unsaid

FEW_VIDEOS = 30


def notes(figures: Sequence[CellFigures], gathered: Gathered, mix_budgets: bool) -> list[str]:
    """Sentences, the gravest first."""
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
    if mute := {name for (_, name, _), video in gathered.videos.items() if video.unread_subtitles}:
        found.append(
            f"Subtitles of {len(mute)} video{'' if len(mute) == 1 else 's'} could not be read, and their questions were asked "
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
    if any(knows_truth(row.contender.system) for row in rows):
        found.append(
            "“oracle” is told which frames hold the evidence. It is a bound, not a system, and never on a Pareto front."
        )
    if any(is_control(row.contender.system) for row in rows):
        found.append(
            "“blind” saw no frame, and “shuffled+” systems the options in another order: controls, never on a Pareto front."
        )
    if len(gathered.runs) > 1:
        found.append(f"{len(gathered.runs)} runs are joined: seconds compare only where their machines are the same.")
    if len(figures) > 1 and not mix_budgets:
        found.append(
            "Every benchmark, number of frames and budget is a table of its own; rows of different tables are not compared."
        )
    for path, manifest in gathered.runs:
        if missing := unsaid(manifest):
            found.append(f"The manifest of {path.name} does not say: {', '.join(missing)}.")
    return found


def _answers(count: int) -> str:
    return f"{count:,} answer{'' if count == 1 else 's'}"
