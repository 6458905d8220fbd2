"""The installed command `videorouter ROOM ...`: the same doors as `python -m ROOM`, safe from files of the same name nearby."""

import runpy
import sys

ROOMS = ("video", "shards", "data_builders", "routers", "train", "eval", "miniature")


def main() -> None:
    """Run one room's door, or print a shipped config: `videorouter config [NAME]`.

    Unlike `python -m`, an installed command does not put the current folder first on the import path, so a stray
    `train.py` there is not mistaken for ours.
    """
    match sys.argv[1:]:
        case ["config", *names]:
            _print_config(names)
        case [room, *_] if room in ROOMS:
            sys.argv[:2] = [f"videorouter {room}"]
            runpy.run_module(room, run_name="__main__", alter_sys=True)
        case _:
            sys.exit(f"usage: videorouter {{{','.join(ROOMS)}}} ...\n       videorouter config [NAME]")


def _print_config(names: list[str]) -> None:
    import configs

    if not names:
        print("\n".join(configs.shipped_names()))
    for name in names:
        print(configs.find(name).read_text(encoding="utf-8"), end="")
