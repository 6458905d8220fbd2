"""`python -m routers`: export trained routers, answer a question about a video."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser


def export(
    out: Path, threshold: float = 0.5, scales: tuple[int, int, int] = (2, 1, 4), *, checkpoint: list[str]
) -> None:
    """Write a router folder from training checkpoints.

    Args:
        out: the folder to write
        threshold: a frame is relevant above this probability
        scales: compression scales (global, relevant, irrelevant)
    """
    from routers.export import export as export_folder
    from routers.systems.videorouter import Scales

    folder = export_folder([Path(path) for path in checkpoint], out, scales=Scales(*scales), threshold=threshold)
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"exported to {folder} ({size / 1e6:.2f} MB)")


def answer(
    model: Path,
    video: Path,
    question: str,
    system: str = "videorouter",
    policy: Literal["global", "fragment"] | None = None,
    budget: int | None = None,
    base: str | None = None,
    device: str = "cpu",
    max_new_tokens: int = 32,
    *,
    options: list[str] | None = None,
    json_output: bool = False,
) -> None:
    """Answer a question about a video with an exported router.

    Args:
        model: router folder
        video: video file
        question: the question
        system: compression system
        policy: force an allocation policy
        budget: visual tokens; the export's default otherwise
        base: where the base model lies, if not where the export says
        device: torch device
        max_new_tokens: longest answer
    """
    from routers.runtime import VideoRouter
    from routers.show import show_answer

    router = VideoRouter.from_pretrained(model, base=base, device=device)
    result = router.answer(
        video, question, options, budget=budget, policy=policy, system=system, max_new_tokens=max_new_tokens
    )
    if json_output:
        print(json.dumps(asdict(result), indent=2))
    else:
        show_answer(result, options)


def parser() -> ArgumentParser:
    """The door's command line."""
    exporting = ArgumentParser(description="Write a router folder from training checkpoints.")
    exporting.add_argument("--checkpoint", nargs="+", required=True, metavar="CKPT", help="checkpoints of both routers")
    exporting.add_function_arguments(export, skip={"checkpoint"})
    answering = ArgumentParser(description="Answer a question about a video with an exported router.")
    answering.add_function_arguments(answer, skip={"options", "json_output"})
    answering.add_argument("--options", nargs="+", metavar="TEXT", help="the answer options, in order")
    answering.add_argument("--json", dest="json_output", action="store_true", help="print JSON")
    door = ArgumentParser(prog="python -m routers", description=__doc__)
    subcommands = door.add_subcommands()
    subcommands.add_subcommand("export", exporting)
    subcommands.add_subcommand("answer", answering)
    return door


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; user errors end as one line on standard error and exit code 1."""
    door = parser()
    chosen = door.parse_args(arguments)
    commands: dict[str, Callable[..., None]] = {"export": export, "answer": answer}
    command = commands[chosen.subcommand]
    try:
        command(**chosen[chosen.subcommand].as_dict())
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
