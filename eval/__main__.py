"""`python -m eval run --config configs/eval/miniature.yaml --out DIR`, then `python -m eval report DIR --out report`."""

import sys
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

import configs


def parser() -> ArgumentParser:
    """The door's command line."""
    from eval.experiment import EvalConfig
    from eval.report.writing import ReportConfig

    running = ArgumentParser(description="Compare systems at equal tokens on one benchmark.")
    running.add_argument("--config", action="config", help="YAML file, or the name of a shipped one")
    running.add_class_arguments(EvalConfig, nested_key=None)
    reporting = ArgumentParser(description="Write a page and tables of finished runs, from their folders alone.")
    reporting.add_argument("runs", nargs="+", type=Path, help="folders of finished runs")
    reporting.add_argument("--apart", nargs="+", default=[], help="more systems whose rows are set apart")
    reporting.add_argument(
        "--mix_budgets", action="store_true", help="report systems fed other tokens than the reference, too"
    )
    reporting.add_class_arguments(ReportConfig, nested_key=None, skip={"apart", "mix_budgets"})
    door = ArgumentParser(prog="python -m eval", description=__doc__)
    subcommands = door.add_subcommands()
    subcommands.add_subcommand("run", running)
    subcommands.add_subcommand("report", reporting)
    return door


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; user errors end as one line on standard error and exit code 1."""
    given = configs.underscored(configs.located(sys.argv[1:] if arguments is None else arguments))
    chosen = parser().parse_args(given)
    options = chosen[chosen.subcommand].as_dict()
    try:
        {"run": _run, "report": _report}[chosen.subcommand](options)
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


def _report(options: dict[str, Any]) -> None:
    from eval.report.writing import ReportConfig, write_report

    runs = options.pop("runs")
    print(f"wrote {write_report(runs, ReportConfig(**options))}")


if __name__ == "__main__":
    sys.exit(main())
