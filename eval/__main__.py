"""`python -m eval run --config configs/eval/miniature.yaml --model DIR --data DIR --out DIR`."""

import sys

from jsonargparse import ArgumentParser

import configs


def parser() -> ArgumentParser:
    """The door's command line."""
    from eval.experiment import EvalConfig

    running = ArgumentParser(description="Compare systems at equal tokens on one benchmark.")
    running.add_argument("--config", action="config", help="YAML file, or the name of a shipped one")
    running.add_class_arguments(EvalConfig, nested_key=None)
    door = ArgumentParser(prog="python -m eval", description=__doc__)
    door.add_subcommands().add_subcommand("run", running)
    return door


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; user errors end as one line on standard error and exit code 1."""
    from eval.experiment import EvalConfig, run
    from routers.systems import Scales

    given = configs.located(sys.argv[1:] if arguments is None else arguments)
    chosen = parser().parse_args(given)
    options = chosen[chosen.subcommand].as_dict()
    options.pop("config", None)
    if options["scales"] is not None:
        options["scales"] = Scales(**options["scales"])
    try:
        run(EvalConfig(**options))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
