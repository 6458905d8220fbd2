"""`videorouter train fit --config ...`: LightningCLI over modules and data of this package; `check` and `floor` beside it."""

import os
import sys
from collections.abc import Callable

from jsonargparse import auto_cli

from videorouter.command_line import command, typed_command, with_config_paths
from videorouter.interruption import end_with_parent
from videorouter.usage import ArgumentParser

USAGE = """usage: {typed} {{fit,check,floor}} ...

  fit     train a router or the joint stage: --config CONFIG [--out FOLDER] [--resume auto] and any option of a config
  check   the same arguments: say what would stop this training before it starts, and what it will take;
          --ranks N and --gpu-memory GB where it will run on other machines than this one
  floor   SHARDS: what words alone tell of a policy, the baseline that a Semantic Router must beat

Shipped configs are found by name: `videorouter config` lists them. `videorouter train fit --help` is Lightning's own and
takes seconds; under torchrun: `torchrun --nproc_per_node N -m videorouter.train fit ...`."""


def check(arguments: list[str]) -> int:
    """Look at what `fit` with the same arguments would need, before any GPU minute is spent; exit code 1 where it would stop."""
    from videorouter.train.preflight.check import Machines
    from videorouter.train.preflight.check import check as look

    ranks, arguments = _taken(arguments, "--ranks", "the number of processes", int)
    memory, arguments = _taken(arguments, "--gpu-memory", "the GB of each GPU", float)
    return look(arguments, Machines(None if ranks is None else int(ranks), memory))


def floor(shards: str, train: str = "train", test: str = "test") -> None:
    """Print what words alone tell of a policy: TF-IDF and logistic regression.

    Args:
        shards: Video-QTR shards
        train: split learned from
        test: split classified
    """
    from videorouter.train.validation.text_baseline import text_baseline

    found = text_baseline(shards, train, test)
    print(f"{found.accuracy:.4f} of {found.questions} questions, after learning from {found.learned}")


@command(how_to_resume="the same command with --resume auto resumes from OUT/checkpoints/last.ckpt, where there is one")
def main(arguments: list[str]) -> int:
    """Run one of them; shipped configs are found by name from any folder.

    `check` takes what `fit` takes, and `--ranks N` and `--gpu-memory GB` where the training will run on other machines.
    """
    if arguments in ([], ["-h"], ["--help"], ["check", "-h"], ["check", "--help"]):
        print(USAGE.format(typed=typed_command("train")), file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    found = with_config_paths(arguments)
    try:
        if found[:1] == ["check"]:
            return check(found[1:])
        if found[:1] == ["floor"]:
            auto_cli(floor, args=found[1:], prog=f"{typed_command('train')} floor", parser_class=ArgumentParser)
            return 0
        if "LOCAL_RANK" in os.environ:  # torchrun's ranks are in sessions of their own, and would train on without it
            end_with_parent()
        from videorouter.train.cli import run  # Lightning takes seconds to import

        if sys.argv[1:] == arguments:  # Lightning would rather read the command line itself
            sys.argv[1:] = found
            run(None)
        else:
            run(found)
    except (ValueError, OSError) as error:
        raise _root(error) from None
    return 0


def _taken(arguments: list[str], name: str, what: str, kind: Callable[[str], float]) -> tuple[float | None, list[str]]:
    """The value of the option `name`, above 0, and the arguments without it. Raises `ValueError` for another."""
    if name not in arguments:
        return None, arguments
    at = arguments.index(name)
    given, rest = arguments[at + 1 : at + 2], [*arguments[:at], *arguments[at + 2 :]]
    try:
        if given and (value := kind(given[0])) > 0:
            return value, rest
    except ValueError:
        pass
    raise ValueError(f"{name} takes {what}")


def _root(error: BaseException) -> BaseException:
    """What was raised first: jsonargparse wraps the errors of what it makes in pages about types."""
    while isinstance(inner := error.__cause__ or error.__context__, ValueError | OSError):
        if error.__suppress_context__ and error.__cause__ is None:
            break
        error = inner
    return error


if __name__ == "__main__":
    sys.exit(main())
