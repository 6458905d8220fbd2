"""The command `videorouter COMMAND ...`, also `python -m videorouter COMMAND ...`."""

import runpy
import sys

COMMANDS = {
    "data_builders": "annotations, videos and a teacher become labelled shards",
    "shards": "look at, verify, merge, split and upload data sets",
    "train": "train the routers, check a training before it starts",
    "routers": "export routers, answer with them, estimate cost, upload",
    "eval": "compare systems at equal tokens, make tables and a page of it",
    "video": "show which frames a sampler takes of a file",
    "miniature": "a complete tiny world: the demo, a teacher, tiny base models",
    "config": "list the shipped configs, or print one",
}


def main() -> None:
    """Run one command: what `python -m videorouter.COMMAND` runs, or `config [NAME ...]`, which prints shipped configs.

    Unlike `python -m`, an installed command does not put the current folder first on the import path.
    """
    match sys.argv[1:]:
        case ["config", *names]:
            sys.exit(_print_configs(names))
        case [command, *_] if command in COMMANDS:
            sys.argv[:2] = [f"videorouter {command}"]
            runpy.run_module(f"videorouter.{command}", run_name="__main__", alter_sys=True)
        case ["-h" | "--help"]:
            print(_usage())
        case _:
            print(_usage(), file=sys.stderr)
            sys.exit(2)


def _usage() -> str:
    listed = "\n".join(f"  {name:14} {what}" for name, what in COMMANDS.items())
    return f"usage: videorouter COMMAND ...\n\n{listed}\n\n`videorouter COMMAND --help` says more."


def _print_configs(names: list[str]) -> int:
    from videorouter.command_line import find_config, shipped_configs

    if not names:
        print("\n".join(shipped_configs()))
    for name in names:
        try:
            print(find_config(name).read_text(encoding="utf-8"), end="")
        except FileNotFoundError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    main()
