"""`videorouter eval prepare`, `run`, `report`, `convert`: from a benchmark's folder to tables and a page.

`prepare` ends with exit code 3 where part of a benchmark is missing.
"""

import sys
from pathlib import Path
from typing import Any

from videorouter.command_line import command, typed_command, underscored, with_config_paths
from videorouter.usage import ArgumentParser


def parser() -> ArgumentParser:
    """The command line of `videorouter eval`."""
    parser = ArgumentParser(prog=typed_command("eval"), description=__doc__)
    subcommands = parser.add_subcommands()
    for name, options in (
        ("prepare", _preparing()),
        ("run", _running()),
        ("report", _reporting()),
        ("convert", _converting()),
    ):
        subcommands.add_subcommand(name, options)
    return parser


@command(how_to_resume={"run": "the same command continues after the last answer in OUT"})
def main(arguments: list[str]) -> int:
    """Run a subcommand."""
    chosen = parser().parse_args(underscored(with_config_paths(arguments)))
    options = chosen[chosen.subcommand].as_dict()
    options.pop("config", None)
    return {"prepare": _prepare, "run": _run, "report": _report, "convert": _convert}[chosen.subcommand](options)


def _preparing() -> ArgumentParser:
    options = ArgumentParser(description="Say whether a public benchmark's folder is whole, and what to fetch.")
    options.add_argument("--benchmark", required=True, help="video_mme, mlvu, longvideobench, lvbench or egoschema")
    options.add_argument("--data", type=Path, required=True, help="its folder, in the layout it is published in")
    options.add_argument("--split", default=None, help="the one with public answers where left out")
    options.add_argument("--rows", default=None, help="`datasets` id to read the questions from, not the folder")
    options.add_argument("--json", action="store_true", help="print all of it as JSON")
    return options


def _running() -> ArgumentParser:
    from videorouter.eval.config import EvalConfig
    from videorouter.routers.backbones.loading_options import FLAGS, add_flags

    options = ArgumentParser(description="Compare systems at equal tokens on one benchmark.")
    options.add_argument("--config", action="config", help="YAML file, or the name of a shipped one")
    options.add_class_arguments(EvalConfig, nested_key=None, skip={"accept_base", *FLAGS})
    add_flags(options)
    accepting = "use a base that is another one than the routers were trained on, and say what differs"
    options.add_argument("--accept_base", action="store_true", help=accepting)
    return options


def _reporting() -> ArgumentParser:
    from videorouter.eval.config import ReportConfig

    options = ArgumentParser(description="Write a page and tables of finished runs, from their folders alone.")
    options.add_argument("runs", nargs="+", type=Path, help="folders of finished runs")
    options.add_argument("--apart", nargs="+", default=[], help="more systems whose rows are set apart")
    options.add_argument(
        "--mix_budgets", action="store_true", help="report systems fed other tokens than the reference, too"
    )
    options.add_class_arguments(ReportConfig, nested_key=None, skip={"apart", "mix_budgets"})
    return options


def _converting() -> ArgumentParser:
    from videorouter.eval.converters.convert import ConvertConfig, Toolkit

    options = ArgumentParser(description="Make a run folder of another toolkit's results.")
    options.add_argument("files", type=Path, nargs="+", help="result files of one model on one benchmark")
    options.add_argument("--from", dest="toolkit", type=Toolkit, required=True, help="who wrote the files")
    options.add_class_arguments(ConvertConfig, nested_key=None, skip={"toolkit", "files"})
    return options


def _prepare(options: dict[str, Any]) -> int:
    from videorouter.eval.benchmarks.prepare import prepare

    return prepare(**options)


def _run(options: dict[str, Any]) -> int:
    from videorouter.eval.config import EvalConfig, Point
    from videorouter.eval.running.experiment import run
    from videorouter.eval.running.printing import print_results
    from videorouter.routers.routing.allocation import Scales

    def scaled(values: dict[str, Any]) -> dict[str, Any]:
        return values | {"scales": Scales(**values["scales"]) if values["scales"] is not None else None}

    if options["points"] is not None:
        options["points"] = [Point(**scaled(dict(point))) for point in options["points"]]
    results = run(EvalConfig(**scaled(options)))
    if results is not None:
        print_results(results)
        if results.silent:
            raise ValueError(results.silent[0])
    return 0


def _report(options: dict[str, Any]) -> int:
    from videorouter.eval.config import ReportConfig
    from videorouter.eval.report.files import write_report

    runs = options.pop("runs")
    print(f"wrote {write_report(runs, ReportConfig(**options))}")
    return 0


def _convert(options: dict[str, Any]) -> int:
    from videorouter.eval.converters.convert import ConvertConfig, convert

    print(convert(ConvertConfig(**options)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
