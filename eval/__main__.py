"""`python -m eval run --config configs/eval/miniature.yaml --model DIR --data DIR --out DIR`;
`python -m eval prepare --benchmark video_mme --data DIR` says what is missing of a benchmark (exit code 3) or nothing (0)."""

import sys
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

import configs


def parser() -> ArgumentParser:
    """The door's command line."""
    from eval.experiment import EvalConfig

    running = ArgumentParser(description="Compare systems at equal tokens on one benchmark.")
    running.add_argument("--config", action="config", help="YAML file, or the name of a shipped one")
    running.add_class_arguments(EvalConfig, nested_key=None)
    preparing = ArgumentParser(description="Say whether a public benchmark's folder is whole, and what to fetch.")
    preparing.add_argument("--benchmark", required=True, help="video_mme, mlvu, longvideobench, lvbench or egoschema")
    preparing.add_argument("--data", type=Path, required=True, help="its folder, in the layout it is published in")
    preparing.add_argument("--split", default=None, help="the one with public answers where left out")
    preparing.add_argument("--rows", default=None, help="`datasets` id to read the questions from, not the folder")
    preparing.add_argument("--json", action="store_true", help="print all of it as JSON")
    door = ArgumentParser(prog="python -m eval", description=__doc__)
    commands = door.add_subcommands()
    commands.add_subcommand("run", running)
    commands.add_subcommand("prepare", preparing)
    return door


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; user errors end as one line on standard error and exit code 1."""
    given = configs.located(sys.argv[1:] if arguments is None else arguments)
    chosen = parser().parse_args(given)
    options = chosen[chosen.subcommand].as_dict()
    try:
        if chosen.subcommand == "prepare":
            from eval.prepare import prepare

            return prepare(**options)
        _run(options)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _run(options: dict[str, Any]) -> None:
    from eval.experiment import EvalConfig, run
    from routers.systems import Scales

    options.pop("config", None)
    if options["scales"] is not None:
        options["scales"] = Scales(**options["scales"])
    run(EvalConfig(**options))


if __name__ == "__main__":
    sys.exit(main())
