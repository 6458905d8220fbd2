"""`videorouter train fit --config ...`: LightningCLI over modules and data of this package; `check` and `floor` beside it."""

import os
import sys

from jsonargparse import auto_cli

from videorouter.command_line import command, typed_command, with_config_paths
from videorouter.interruption import end_with_parent
from videorouter.usage import ArgumentParser

USAGE = """usage: {typed} {{fit,check,floor,...}} ...

  fit     train a router or the joint stage: --config CONFIG [--out FOLDER] [--resume auto] and any option of a config
  check   the same arguments: say what would stop this training before it starts; --ranks N for another number of processes
  floor   SHARDS: what words alone tell of a policy, the baseline that a Semantic Router must beat
  validate, test, predict   as Lightning has them

Shipped configs are found by name: `videorouter config` lists them. `videorouter train fit --help` is Lightning's own and
takes seconds; under torchrun: `torchrun --nproc_per_node N -m videorouter.train fit ...`."""


def check(ranks: int | None, arguments: list[str]) -> int:
    """Look at what `fit` with the same arguments would need, before any GPU minute is spent; exit code 1 where it would stop."""
    from videorouter.train.preflight import check as look

    return look(arguments, ranks)


def floor(shards: str, train: str = "train", test: str = "test") -> None:
    """Print what words alone tell of a policy: TF-IDF and logistic regression.

    Args:
        shards: Video-QTR shards
        train: split learned from
        test: split classified
    """
    from videorouter.train.text_baseline import text_baseline

    found = text_baseline(shards, train, test)
    print(f"{found.accuracy:.4f} of {found.questions} questions, after learning from {found.learned}")


@command(how_to_resume="the same command with --resume auto resumes from OUT/checkpoints/last.ckpt, where there is one")
def main(arguments: list[str]) -> int:
    """Run one of them; shipped configs are found by name from any folder.

    `check` takes what `fit` takes, and `--ranks N` where the training will have another number of processes.
    """
    if arguments in ([], ["-h"], ["--help"], ["check", "-h"], ["check", "--help"]):
        print(USAGE.format(typed=typed_command("train")), file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    found = with_config_paths(arguments)
    try:
        if found[:1] == ["check"]:
            return check(*_ranks(found[1:]))
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


def _ranks(arguments: list[str]) -> tuple[int | None, list[str]]:
    """`--ranks N`, and the arguments without it."""
    if "--ranks" not in arguments:
        return None, arguments
    at = arguments.index("--ranks")
    try:
        return int(arguments[at + 1]), [*arguments[:at], *arguments[at + 2 :]]
    except (IndexError, ValueError):
        raise ValueError("--ranks takes the number of processes") from None


def _root(error: BaseException) -> BaseException:
    """What was raised first: jsonargparse wraps the errors of what it makes in pages about types."""
    while isinstance(inner := error.__cause__ or error.__context__, ValueError | OSError):
        if error.__suppress_context__ and error.__cause__ is None:
            break
        error = inner
    return error


if __name__ == "__main__":
    sys.exit(main())
