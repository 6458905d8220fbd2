"""`videorouter data_builders flr {annotate,generate,spans,splice}` and `... qtr`: labelled shards from videos.

`... convert` reads an annotation file, `... audit` lets people judge labels.

Exit codes: 0 everything labelled; 1 a configuration that cannot run; 2 usage; 3 finished, with items in quarantine.jsonl;
4 the teacher is unavailable, 5 a cap is reached, 6 the teacher refuses what this run asks, whatever the item: its key, model,
parameters or limits have to be changed (after 4, 5 and 6 what is paid is kept and the same command continues).
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from videorouter.command_line import command, typed_command, underscored, with_config_paths
from videorouter.data_builders.building.config import BuildConfig, RunConfig
from videorouter.data_builders.flr.annotate import AnnotateConfig, ScoringConfig
from videorouter.data_builders.flr.generate import GenerateConfig
from videorouter.data_builders.flr.splice import SpliceConfig
from videorouter.data_builders.qtr.outcomes import PolicyConfig
from videorouter.data_builders.qtr.probe import ProbeConfig
from videorouter.data_builders.sources.conversion import SOURCES
from videorouter.data_builders.teacher.config import TeacherConfig
from videorouter.data_builders.videos import FrameConfig
from videorouter.registry import Registry
from videorouter.usage import ArgumentParser

ABOUT_QUESTIONS = ("questions", "source", "exclude", "near_duplicates")
FLAGS = ("--new_run", "--retry_failed", "--retry_refused", "--retry_invalid", "--necessity", "--allow_outside")
BUILDERS: Registry[Callable[[list[str]], int]] = Registry("videorouter.builders", "builder", {})
"""Builders of installed packages (entry points): each takes the words behind its name and returns an exit code."""


def parser() -> ArgumentParser:
    """The command line of all builders."""
    more = f"\n\nOf installed packages: {', '.join(BUILDERS)}." if len(BUILDERS) else ""
    whole = ArgumentParser(prog=typed_command("data_builders"), description=f"{__doc__}{more}")
    builders = whole.add_subcommands(dest="builder")
    flr = ArgumentParser(description="Frame relevance labels.")
    builders.add_subcommand("flr", flr)
    kinds = flr.add_subcommands(dest="kind")
    sections: tuple[type, ...] = (BuildConfig, RunConfig, AnnotateConfig)
    kinds.add_subcommand("annotate", _options("A teacher scores every frame.", *sections, teacher=True))
    generate = _options("A teacher writes questions and knows their evidence.", RunConfig, GenerateConfig, teacher=True)
    generate.add_class_arguments(BuildConfig, nested_key=None, skip=set(ABOUT_QUESTIONS))
    generate.add_argument(
        "--video_list", help="a video a line, or JSON lines with video and split; else all in --videos"
    )
    kinds.add_subcommand("generate", generate)
    kinds.add_subcommand("spans", _options("Frames inside marked evidence spans.", BuildConfig, RunConfig))
    splice = _options("Clips joined into long videos with exact labels.", RunConfig, SpliceConfig)
    splice.add_class_arguments(BuildConfig, nested_key=None, skip={"questions"})
    splice.add_argument("--questions", help="questions about single clips, to be asked of the joined videos")
    kinds.add_subcommand("splice", splice)
    sections = (BuildConfig, RunConfig, ScoringConfig, ProbeConfig, PolicyConfig)
    qtr = _options("Policy labels by probing question categories.", *sections, teacher=True)
    qtr.add_argument("--relevance", help="Video-FLR shards of the same questions: frames and labels are reused")
    builders.add_subcommand("qtr", qtr)
    builders.add_subcommand("convert", _convert())
    builders.add_subcommand("audit", _audit())
    return whole


@command(how_to_resume="the same command continues; answers that arrived are kept and not paid again")
def main(arguments: list[str]) -> int:
    """Run a builder; the exit codes are listed in the module's docstring."""
    if arguments and arguments[0] in BUILDERS:
        return BUILDERS[arguments[0]](arguments[1:])
    chosen = parser().parse_args(with_config_paths(_flags(underscored(arguments))))
    name, options = chosen.builder, chosen[chosen.builder]
    if name == "flr":
        name, options = options.kind, options[options.kind]
    from videorouter.data_builders import commands  # help comes without them

    run: Callable[[dict[str, Any]], int] = getattr(commands, name)
    return run(options.as_dict())


def _flags(arguments: list[str]) -> list[str]:
    """`--new_run` alone is `--new_run=true`, which is how jsonargparse writes it."""
    following = [*arguments[1:], ""][: len(arguments)]
    return [
        f"{word}=true" if word in FLAGS and after not in ("true", "false") else word
        for word, after in zip(arguments, following, strict=True)
    ]


def _convert() -> ArgumentParser:
    options = ArgumentParser(description="Write an annotation file in our own format, and count what it holds.")
    options.add_argument("--questions", type=Path, required=True, help="annotation file")
    options.add_argument("--source", required=True, help=f"its format: {', '.join(SOURCES)}")
    options.add_argument("--out", type=Path, required=True, help="JSONL file to write; rejects go beside it")
    options.add_argument("--split", help="given to questions that have none")
    return options


def _audit() -> ArgumentParser:
    options = ArgumentParser(description="A page to judge a sample of labels, or the agreement that came of one.")
    options.add_argument("folder", type=Path, help="finished data set")
    options.add_argument("--sample", type=int, default=100, help="labels on the page")
    options.add_argument("--seed", type=int, default=0, help="of the sample")
    options.add_argument("--out", type=Path, default=Path("audit.html"), help="page to write")
    options.add_argument("--verdicts", type=Path, help="file downloaded from the page: count it")
    return options


def _options(description: str, *sections: type, teacher: bool = False) -> ArgumentParser:
    options = ArgumentParser(description=description)
    options.add_argument("--config", action="config", help="YAML file, or the name of a shipped one")
    for section in (FrameConfig, *sections):
        options.add_class_arguments(section, nested_key=None)
    if teacher:
        options.add_class_arguments(TeacherConfig, nested_key="teacher")
    return options


if __name__ == "__main__":
    sys.exit(main())
