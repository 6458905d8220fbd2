"""`python -m data_builders flr {annotate,spans,splice}` and `python -m data_builders qtr`: labelled shards from videos.

Exit codes: 0 everything labelled; 1 a configuration that cannot run; 2 usage; 3 finished, with items in quarantine.jsonl;
4 the teacher is unavailable (finished shards are kept, the same command goes on).
"""

import sys
from collections.abc import Callable
from typing import Any

from jsonargparse import ArgumentParser

import configs
from data_builders import commands
from data_builders.build import BuildConfig
from data_builders.flr.annotate import ScoringConfig
from data_builders.flr.splice import SpliceConfig
from data_builders.qtr.probe import ProbeConfig
from data_builders.teacher import TeacherConfig
from data_builders.videos import FrameConfig


def parser() -> ArgumentParser:
    """The door's command line."""
    door = ArgumentParser(prog="python -m data_builders", description=__doc__)
    builders = door.add_subcommands(dest="builder")
    flr = ArgumentParser(description="Frame relevance labels.")
    builders.add_subcommand("flr", flr)
    kinds = flr.add_subcommands(dest="kind")
    kinds.add_subcommand(
        "annotate", _options("A teacher scores every frame.", BuildConfig, ScoringConfig, teacher=True)
    )
    kinds.add_subcommand("spans", _options("Frames inside marked evidence spans.", BuildConfig))
    splice = _options("Clips joined into long videos with exact labels.", SpliceConfig)
    splice.add_class_arguments(BuildConfig, nested_key=None, skip={"questions"})
    splice.add_argument("--questions", help="questions about single clips, to be asked of the joined videos")
    kinds.add_subcommand("splice", splice)
    qtr = _options(
        "Policy labels by probing question categories.", BuildConfig, ScoringConfig, ProbeConfig, teacher=True
    )
    qtr.add_argument("--relevance", help="Video-FLR shards of the same questions: frames and labels are reused")
    builders.add_subcommand("qtr", qtr)
    return door


def main(arguments: list[str] | None = None) -> int:
    """Run a builder; the exit codes stand in the module's docstring. User errors end as one line on standard error."""
    chosen = parser().parse_args(configs.located(sys.argv[1:] if arguments is None else arguments))
    options = chosen[chosen.builder]
    command: Callable[[dict[str, Any]], int] = commands.qtr
    if chosen.builder == "flr":
        command = {"annotate": commands.annotate, "spans": commands.spans, "splice": commands.splice}[options.kind]
        options = options[options.kind]
    try:
        return command(options.as_dict())
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


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
