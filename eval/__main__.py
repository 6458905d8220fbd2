"""`python -m eval run --config configs/eval/miniature.yaml --model DIR --data DIR --out DIR`, or `python -m eval convert`."""

import sys
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

import configs


def parser() -> ArgumentParser:
    """The door's command line."""
    from eval.converters.convert import ConvertConfig, Toolkit
    from eval.experiment import EvalConfig

    running = ArgumentParser(description="Compare systems at equal tokens on one benchmark.")
    running.add_argument("--config", action="config", help="YAML file, or the name of a shipped one")
    running.add_class_arguments(EvalConfig, nested_key=None)
    door = ArgumentParser(prog="python -m eval", description=__doc__)
    converting = ArgumentParser(description="Make a run folder of another toolkit's results.")
    converting.add_argument("files", type=Path, nargs="+", help="result files of one model on one benchmark")
    converting.add_argument("--from", dest="toolkit", type=Toolkit, required=True, help="who wrote the files")
    converting.add_class_arguments(ConvertConfig, nested_key=None, skip={"toolkit", "files"})
    rooms = door.add_subcommands()
    rooms.add_subcommand("run", running)
    rooms.add_subcommand("convert", converting)
    return door


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; user errors end as one line on standard error and exit code 1."""
    given = configs.located(sys.argv[1:] if arguments is None else arguments)
    chosen = parser().parse_args(given)
    options = chosen[chosen.subcommand].as_dict()
    options.pop("config", None)
    try:
        {"run": _run, "convert": _convert}[chosen.subcommand](options)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _run(options: dict[str, Any]) -> None:
    from eval.experiment import EvalConfig, run
    from routers.systems import Scales

    if options["scales"] is not None:
        options["scales"] = Scales(**options["scales"])
    run(EvalConfig(**options))


def _convert(options: dict[str, Any]) -> None:
    from eval.converters.convert import ConvertConfig, convert

    print(convert(ConvertConfig(**options)))


if __name__ == "__main__":
    sys.exit(main())
