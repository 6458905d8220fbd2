"""The builders as commands: options in, shards out, exit code back."""

import asyncio
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from data_builders.build import UNAVAILABLE, BuildConfig, Outcome, build
from data_builders.fingerprint import claim_folder, content_hash
from data_builders.flr.annotate import ScoringConfig, TeacherLabeller
from data_builders.flr.spans import SpanLabeller
from data_builders.flr.splice import (
    SpliceConfig,
    SpliceLabeller,
    ask_of_joined,
    clip_duration,
    clips_to_join,
    join_clips,
)
from data_builders.labelling import Labeller
from data_builders.prompting import load_prompt
from data_builders.qtr.label import FrameSource, PolicyLabeller, decide, report
from data_builders.qtr.probe import ProbeConfig
from data_builders.rejects import Reject
from data_builders.sources import read_questions
from data_builders.teacher import Teacher, TeacherConfig, TeacherUnavailable
from data_builders.videos import FrameConfig, VideoFolder
from shards.sidecar import finished_manifest
from video.errors import VideoError

Options = dict[str, Any]
Section = TypeVar("Section")


def annotate(options: Options) -> int:
    """Video-FLR from existing questions: the teacher scores frames."""
    teacher = Teacher(_section(TeacherConfig, options["teacher"]))
    videos = VideoFolder(_section(FrameConfig, options))
    labeller = TeacherLabeller(videos, teacher, _section(ScoringConfig, options))
    return _finish(_build(options, videos, labeller, prompts=["frame_scores"]), teacher)


def spans(options: Options) -> int:
    """Video-FLR from evidence spans that people marked."""
    videos = VideoFolder(_section(FrameConfig, options))
    return _build(options, videos, SpanLabeller(videos)).exit_code


def splice(options: Options) -> int:
    """Video-FLR from clips joined into long videos; `--questions` about single clips are optional."""
    videos = VideoFolder(_section(FrameConfig, options))
    config = _section(BuildConfig, options | {"questions": Path(options["questions"] or videos.config.videos)})
    about_clips, rejects = read_questions(config.questions, config.source) if options["questions"] else ([], [])
    durations: dict[str, float] = {}
    for clip in clips_to_join(videos, about_clips):
        try:
            durations[clip] = clip_duration(videos, clip)
        except VideoError as error:
            rejects.append(Reject(clip, "video", error.verdict, str(error)))
    timelines = join_clips(durations, _section(SpliceConfig, options), {q.video: q.split for q in about_clips})
    notes = {"timelines": {name: [asdict(placed) for placed in timeline] for name, timeline in timelines.items()}}
    try:
        labeller = SpliceLabeller(videos, timelines)
        return build(
            config,
            ask_of_joined(timelines, about_clips),
            rejects,
            labeller,
            _recorded(options) | {"clips": durations},
            notes,
        ).exit_code
    finally:
        videos.close()


def qtr(options: Options) -> int:
    """Video-QTR: categories, probing, labels."""
    config = _section(BuildConfig, options)
    teacher = Teacher(_section(TeacherConfig, options["teacher"]))
    videos = VideoFolder(_section(FrameConfig, options))
    recorded = _recorded(options, ["frame_scores", "answer", "question_category"])
    claim_folder(config.out, recorded)
    questions, rejects = read_questions(config.questions, config.source)
    scorer = TeacherLabeller(videos, teacher, _section(ScoringConfig, options))
    frames = FrameSource(videos, scorer, Path(options["relevance"]) if options["relevance"] else None)
    try:
        probing = _section(ProbeConfig, options)
        categories, decided, failed = asyncio.run(decide(questions, frames, teacher, probing, config.out))
        labeller = PolicyLabeller(frames, teacher, categories, decided)
        known = [question for question in questions if question.id in categories]
        return _finish(build(config, known, [*rejects, *failed], labeller, recorded, report(decided)), teacher)
    except TeacherUnavailable as error:
        print(f"error: {error}", file=sys.stderr)
        return UNAVAILABLE
    finally:
        videos.close()


def _build(options: Options, videos: VideoFolder, labeller: Labeller, prompts: list[str] | None = None) -> Outcome:
    config = _section(BuildConfig, options)
    questions, rejects = read_questions(config.questions, config.source)
    try:
        return build(config, questions, rejects, labeller, _recorded(options, prompts or []))
    finally:
        videos.close()


def _finish(outcome: Outcome, teacher: Teacher) -> int:
    usage = teacher.usage
    print(
        f"teacher: {usage.requests} requests, {usage.images} images, "
        f"{usage.tokens_in} tokens in, {usage.tokens_out} tokens out"
    )
    return outcome.exit_code


def _recorded(options: Options, prompts: list[str] | None = None) -> Options:
    """The configuration as it is fingerprinted: all options, files by their content, and the hashes of the prompts."""
    files = {
        name: content_hash(Path(options[name]))
        for name in ("questions", "video_map")
        if options.get(name) and Path(options[name]).is_file()
    }
    if options.get("relevance"):
        files["relevance"] = finished_manifest(Path(options["relevance"])).fingerprint
    return {**options, **files, "prompts": {name: load_prompt(name).hash for name in prompts or []}}


def _section(section: type[Section], options: Options) -> Section:
    """One of the dataclasses that the options are made of."""
    return section(**{field.name: options[field.name] for field in fields(section)})  # type: ignore[arg-type]
