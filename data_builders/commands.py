"""The builders as commands: options in, shards out, exit code back."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

from rich.console import Console

from videorouter.data_builders.audit.agreement import agreement, print_agreement
from videorouter.data_builders.audit.page import write_audit
from videorouter.data_builders.bounds import check_bounds
from videorouter.data_builders.building.again import asked_again
from videorouter.data_builders.building.build import Notes, build
from videorouter.data_builders.building.config import VIDEOS_PER_SHARD, BuildConfig, RunConfig
from videorouter.data_builders.building.indexing import index_questions
from videorouter.data_builders.building.labeller import Recipe
from videorouter.data_builders.building.plan import list_videos, plan_shards, plan_videos
from videorouter.data_builders.building.question_index import questions_hash
from videorouter.data_builders.building.reporting import DONE, QUARANTINED, Outcome, print_outcome, print_stop
from videorouter.data_builders.building.run_folder import RunFolder, content_hash, open_folder
from videorouter.data_builders.building.turns import turn
from videorouter.data_builders.flr.annotate import (
    SCORES,
    AnnotateConfig,
    AnnotateRecipe,
    ScoringConfig,
    TeacherLabeller,
)
from videorouter.data_builders.flr.filters import (
    ANNOTATED,
    GENERATED,
    NECESSITY_PROMPTS,
    filter_yields,
    yield_notes,
    yield_table,
)
from videorouter.data_builders.flr.generate import PROMPTS, GenerateConfig, GenerateRecipe
from videorouter.data_builders.flr.spans import SpanRecipe
from videorouter.data_builders.flr.splice import (
    SpliceConfig,
    SpliceRecipe,
    ask_of_joined,
    clip_duration,
    clips_to_join,
    join_clips,
)
from videorouter.data_builders.qtr.dry_run import PROBING_LOCK, estimate_labels
from videorouter.data_builders.qtr.frame_source import FrameSource
from videorouter.data_builders.qtr.labeller import PolicyRecipe
from videorouter.data_builders.qtr.outcomes import PolicyConfig, Probing, outcome_notes, print_probing
from videorouter.data_builders.qtr.probe import ProbeConfig
from videorouter.data_builders.qtr.probe_record import (
    answers_to_decide,
    drop_labels_of_earlier_probes,
    probe_again,
)
from videorouter.data_builders.qtr.probing import run_probing
from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.sources.conversion import (
    convert_file,
    print_conversions,
    questions_to_label,
    rejects_beside,
)
from videorouter.data_builders.sources.decontamination import decontaminate
from videorouter.data_builders.teacher.client import TeacherClient
from videorouter.data_builders.teacher.config import TeacherConfig
from videorouter.data_builders.teacher.errors import TeacherStopped
from videorouter.data_builders.teacher.fault import Streaks
from videorouter.data_builders.teacher.replies import QuestionCategory
from videorouter.data_builders.teacher.request import load_prompt
from videorouter.data_builders.teacher.teacher import Teacher
from videorouter.data_builders.videos import FrameConfig, VideoFolder
from videorouter.shards.schema import VideoQuestion
from videorouter.shards.sidecar import finished_manifest
from videorouter.video.errors import VideoError

QTR_PROMPTS = ("frame_scores", "answer", "question_category", "judge_answer")
Options = dict[str, Any]
Section = TypeVar("Section")
Questions = tuple[list[VideoQuestion], list[Reject]]


def annotate(options: Options) -> int:
    """Video-FLR from existing questions: the teacher scores frames."""
    config = _section(AnnotateConfig, options)
    prompts = [SCORES.name, *(NECESSITY_PROMPTS if config.necessity else [])]
    notes = partial(_yields, filters=ANNOTATED) if config.necessity else None
    return _label(options, AnnotateRecipe(config), _section(TeacherConfig, options["teacher"]), prompts, notes)


def generate(options: Options) -> int:
    """Video-FLR from videos alone: the teacher writes questions whose evidence it knows, and filters them."""
    frames, run = _section(FrameConfig, options), _section(RunConfig, options)
    teacher, config = _section(TeacherConfig, options["teacher"]), _section(GenerateConfig, options)
    check_bounds(SimpleNamespace(**options), VIDEOS_PER_SHARD)
    out, listed = Path(options["out"]), options["video_list"]
    splits, rejects = list_videos(Path(listed) if listed else None, frames.videos)
    recorded = _recorded(options, questions_hash([]), PROMPTS) | {"listed": content_hash(json.dumps(splits).encode())}
    with open_folder(out, recorded, run, teacher) as folder:
        jobs = plan_videos(splits, out, options["videos_per_shard"])
        licences = [config.licence or "unstated"]
        return _shown(folder, build(folder, jobs, GenerateRecipe(config), frames, rejects, licences, _yields))


def spans(options: Options) -> int:
    """Video-FLR from evidence spans that people marked."""
    return _label(options, SpanRecipe())


def splice(options: Options) -> int:
    """Video-FLR from clips joined into long videos; `--questions` about single clips are optional."""
    frames = _section(FrameConfig, options)
    if frames.aspect == "own":
        raise ValueError(
            "aspect 'own' cannot be kept by splice: clips of several shapes are joined; give --aspect square"
        )
    config = _section(BuildConfig, options | {"questions": Path(options["questions"] or frames.videos)})
    about_clips, rejects = _questions(config) if options["questions"] else ([], [])
    durations: dict[str, float] = {}
    with closing(VideoFolder(frames)) as videos:
        for clip in clips_to_join(videos, about_clips):
            try:
                durations[clip] = clip_duration(videos, clip)
            except VideoError as error:
                rejects.append(Reject(clip, "video", error.verdict, str(error)))
    timelines = join_clips(durations, _section(SpliceConfig, options), {q.video: q.split for q in about_clips})
    notes = {"timelines": {name: [asdict(placed) for placed in timeline] for name, timeline in timelines.items()}}
    recorded = _recorded(options, questions_hash(about_clips)) | {"clips": durations}
    with open_folder(config.out, recorded, _section(RunConfig, options), None) as folder:
        questions = (ask_of_joined(timelines, about_clips), rejects)
        return _build(folder, config, questions, SpliceRecipe(timelines), frames, lambda _: notes)


def qtr(options: Options) -> int:
    """Video-QTR: categories, probing, labels."""
    config, frames = _section(BuildConfig, options), _section(FrameConfig, options)
    teacher, policies = _section(TeacherConfig, options["teacher"]), _section(PolicyConfig, options)
    questions, rejects = _questions(config)
    recorded = _recorded(options, questions_hash(questions), QTR_PROMPTS)
    relevance = Path(options["relevance"]) if options["relevance"] else None
    with open_folder(config.out, recorded, _section(RunConfig, options), teacher) as folder:
        probe_again(config.out, folder.ledger, asked_again(folder.run))
        scoring, probing = _section(ScoringConfig, options), _section(ProbeConfig, options)
        if folder.run.dry_run:
            return _shown(folder, estimate_labels(folder, frames, questions, relevance, scoring, probing, policies))
        try:
            with turn(config.out / PROBING_LOCK, f"probing the questions of {config.questions}"):
                categories, probed, failed = _probe(folder, frames, questions, relevance, scoring, probing, policies)
        except TeacherStopped as error:
            print_stop(error)
            return Outcome(stopped=error).exit_code
        drop_labels_of_earlier_probes(config.out, questions, config.videos_per_shard)
        recipe = PolicyRecipe(relevance, categories, probed, policies)
        known = [question for question in questions if question.id in categories]
        print_probing(probed, policies)
        notes = outcome_notes(probed, policies)
        return _build(folder, config, (known, [*rejects, *failed]), recipe, frames, lambda _: notes)


def convert(options: Options) -> int:
    """Write an annotation file in our own format, once and for all."""
    out = Path(options["out"])
    done = convert_file(Path(options["questions"]), options["source"], out, options["split"])
    print_conversions([done])
    if done.rejects:
        print(f"all that were left out, and why: {rejects_beside(out)}")
    return QUARANTINED if done.rejects else DONE


def audit(options: Options) -> int:
    """Write a page on which a person judges labels, or count the verdicts that were given on one."""
    folder = Path(options["folder"])
    if options["verdicts"]:
        print_agreement(agreement(Path(options["verdicts"]), folder))
    else:
        out = Path(options["out"])
        print(f"{write_audit(folder, options['sample'], options['seed'], out)} labels to judge: {out}")
    return DONE


def _probe(
    folder: RunFolder,
    frames: FrameConfig,
    questions: Sequence[VideoQuestion],
    relevance: Path | None,
    scoring: ScoringConfig,
    probing: ProbeConfig,
    policies: PolicyConfig,
) -> tuple[dict[str, QuestionCategory], Probing, list[Reject]]:
    """What the labels rest on, asked before any shard is built; its answers have a journal of their own."""
    assert folder.teacher is not None
    videos_asked = len({question.video for question in questions})
    streaks = Streaks(videos_asked, folder.run.refused_in_a_row, folder.ledger.doubts)
    with answers_to_decide(folder.ledger) as journal, closing(VideoFolder(frames)) as videos:
        client = TeacherClient(folder.teacher, folder.ledger.admit)
        teacher = Teacher(folder.teacher, client, journal, streaks)
        source = FrameSource(videos, TeacherLabeller(videos, teacher, scoring), relevance)
        probing_run = run_probing(questions, source, teacher, probing, folder.out, policies)
        return asyncio.run(client.run(teacher.draining(probing_run)))


def _yields(outcome: Outcome, filters: Sequence[str] = GENERATED) -> dict[str, Any]:
    """What the filters left: printed, and as notes for the manifest."""
    yields = filter_yields(outcome.rejects, outcome.labelled, filters)
    Console(markup=False).print(yield_table(yields))
    return yield_notes(yields)


def _label(
    options: Options,
    recipe: Recipe,
    teacher: TeacherConfig | None = None,
    prompts: Sequence[str] = (),
    notes: Notes | None = None,
) -> int:
    """Label the questions of an annotation file, each by itself."""
    config, frames = _section(BuildConfig, options), _section(FrameConfig, options)
    index = index_questions(config)
    recorded = _recorded(options, index.hash, prompts)
    with open_folder(config.out, recorded, _section(RunConfig, options), teacher) as folder:
        return _shown(folder, build(folder, index.jobs, recipe, frames, index.rejects, index.licences, notes))


def _build(
    folder: RunFolder,
    config: BuildConfig,
    questions: Questions,
    recipe: Recipe,
    frames: FrameConfig,
    notes: Notes | None = None,
) -> int:
    asked, rejects = questions
    jobs = plan_shards(asked, config.out, config.videos_per_shard)
    licences = {question.licence or "unstated" for question in asked}
    return _shown(folder, build(folder, jobs, recipe, frames, rejects, sorted(licences), notes))


def _shown(folder: RunFolder, outcome: Outcome) -> int:
    """Print what a build came to; its exit code."""
    print_outcome(folder, outcome)
    return outcome.exit_code


def _questions(config: BuildConfig) -> Questions:
    """The questions that may be used, and all that may not, in memory: where they are weighed against each other."""
    questions, rejects = questions_to_label(config.questions, config.source)
    kept, left_out = decontaminate(questions, config.exclude, config.near_duplicates)
    return kept, [*rejects, *left_out]


def _recorded(options: Options, questions: str, prompts: Sequence[str] = ()) -> Options:
    """The configuration as it is fingerprinted: all options, the hash of the questions, files by content, prompts by hash."""
    files = {
        name: content_hash(Path(options[name]).read_bytes())
        for name in ("video_map", "exclude")
        if options.get(name) and Path(options[name]).is_file()
    }
    files["questions"] = questions
    if options.get("relevance"):
        files["relevance"] = finished_manifest(Path(options["relevance"])).fingerprint
    if options.get("local_base"):
        from videorouter.routers.checkpoints.base_identity import base_identity  # torch takes seconds to import

        files["local_base"] = base_identity(options["local_base"]).sha256
    recorded = {**options, **files, "prompts": {name: load_prompt(name).hash for name in prompts}}
    if options.get("aspect") == "square":  # folders that were begun before there was a choice are resumed
        recorded = {name: value for name, value in recorded.items() if name not in ("aspect", "frame_multiple")}
    return recorded


def _section(section: type[Section], options: Options) -> Section:
    """One of the dataclasses that the options are made of."""
    return section(**{field.name: options[field.name] for field in fields(section)})  # type: ignore[arg-type]
