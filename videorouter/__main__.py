"""The command `videorouter COMMAND ...`, also `python -m videorouter COMMAND ...`."""

import runpy
import sys

from videorouter import __version__

COMMANDS = {
    "data_builders": "annotations, videos and a teacher become labelled shards",
    "shards": "look at, verify, merge, split and upload data sets",
    "train": "train the routers, check a training before it starts",
    "routers": "export routers, merge, answer with them, estimate cost, upload",
    "eval": "compare systems at equal tokens, make tables and a page of it",
    "serve": "an OpenAI-compatible endpoint that routes, in front of the own model, vLLM or any upstream",
    "video": "show which frames a sampler takes of a file",
    "miniature": "a complete tiny world: the demo, a teacher, tiny base models",
    "config": "list the shipped configs, or print one",
}
VERBS = {
    "answer": ("routers", "answer a question about a video"),
    "estimate": ("routers", "print what a model costs before it is loaded"),
    "export": ("routers", "write a router folder from training checkpoints"),
    "merge": ("routers", "write a stage-3 language model as an ordinary checkpoint"),
    "push": ("routers", "upload a router folder to the Hub"),
}
"""The verbs of every day, and the command each belongs to."""


def main() -> None:
    """Run a command; Ctrl-C before it has begun, while Python imports, is one line too."""
    try:
        _main()
    except KeyboardInterrupt:
        print("interrupted: nothing was begun", file=sys.stderr)
        sys.exit(130)


def _main() -> None:
    """Run one command: what `python -m videorouter.COMMAND` runs, or `config [NAME ...]`, which prints shipped configs.

    Unlike `python -m`, an installed command does not put the current folder first on the import path.
    """
    match sys.argv[1:]:
        case ["config", "-h" | "--help"]:
            print("usage: videorouter config [NAME ...]\n\nlist the shipped configs, or print those named")
        case ["config", *names]:
            sys.exit(_configs(names))
        case [verb, *_] if verb in VERBS:
            _run(VERBS[verb][0], sys.argv[1:])
        case [command, *rest] if command in COMMANDS:
            _run(command, rest)
        case ["-h" | "--help"]:
            print(_usage())
        case ["--version"]:
            print(f"videorouter {__version__}")
        case [unknown, *_]:
            print(
                f"error: there is no command {unknown!r}: there are {', '.join([*VERBS, *COMMANDS])}", file=sys.stderr
            )
            sys.exit(2)
        case _:
            print(_usage(), file=sys.stderr)
            sys.exit(2)


def _run(package: str, arguments: list[str]) -> None:
    from videorouter.command_line import set_typed_command

    set_typed_command("videorouter" if sys.argv[1] in VERBS else f"videorouter {package}")
    sys.argv[1:] = arguments
    runpy.run_module(f"videorouter.{package}", run_name="__main__", alter_sys=True)


def _usage() -> str:
    verbs, commands = (
        "\n".join(f"  {name:14} {what}" for name, what in listed)
        for listed in ([(name, what) for name, (_, what) in VERBS.items()], COMMANDS.items())
    )
    more = "`videorouter COMMAND --help` says more; `videorouter --version`."
    return f"usage: videorouter COMMAND ...\n\n{verbs}\n\n{commands}\n\n{more}"


def _configs(names: list[str]) -> int:
    from videorouter.command_line import command, find_config, shipped_configs

    @command()
    def show(names: list[str]) -> None:
        if not names:
            print("\n".join(shipped_configs()))
        for name in names:
            print(find_config(name).read_text(encoding="utf-8"), end="")
        sys.stdout.flush()  # a reader that is gone is noticed here, not when Python ends

    return show(names)


if __name__ == "__main__":
    main()
