"""The command line of the miniature: `videorouter miniature {world,teacher,base,...} --help`."""

import sys
from importlib import import_module

from jsonargparse import auto_cli

from videorouter.command_line import command, typed_command, underscored
from videorouter.usage import ArgumentParser

# Named, not imported: a world should not wait for torch, nor a teacher for matplotlib.
COMMANDS: dict[str, tuple[str, str]] = {
    "world": ("miniature.world.build:build_world", "render videos with questions and, apart, their truth"),
    "teacher": ("miniature.teacher.server:serve", "an OpenAI-compatible teacher that looks at the pictures it is sent"),
    "base": ("miniature.pretraining.model:write_base", "write a tiny InternVL checkpoint with random weights"),
    "train-base": ("miniature.pretraining.recipe:train_base", "train the bases `dense` and `robust`"),
    "ship": (
        "miniature.pipeline.shipping:ship",
        "put trained bases, with routers trained on them, in place of the shipped ones",
    ),
    "report": ("miniature.study.report:report", "accuracy against tokens of every system, with its bounds"),
    "compare": (
        "miniature.study.comparison:compare_systems",
        "every system of the papers at equal tokens, their claims, options of VideoRouter",
    ),
    "check-labels": ("miniature.study.label_quality:check_labels", "hold built labels against the truth"),
    "crash-test": (
        "miniature.pipeline.crash_build:crash_test",
        "kill a build again and again, and see what it cost and came to",
    ),
    "crash-train": (
        "miniature.pipeline.crash_train:crash_train",
        "kill a training, take it up with other ranks, and compare",
    ),
    "check-generated": (
        "miniature.study.generation_quality:check_generated",
        "hold generated questions against the scenes, and show what the filters caught",
    ),
    "demo": ("miniature.pipeline.demo:demo", "the main job from world to answer"),
    "demo-real": ("miniature.pipeline.real_clips:demo_real", "builders and answers on real clips"),
}

HOW_TO_RESUME = {
    "world": "the same command begins again",
    "train-base": "the same command continues after the last finished part",
    "compare": "the same command continues after the last answer in OUT",
    "demo": "the same command begins again",
}


@command(how_to_resume=HOW_TO_RESUME)
def main(arguments: list[str]) -> int:
    """Run one command; options may be written with dashes or underscores."""
    asked = arguments in (["--help"], ["-h"])
    if not arguments or arguments[0] not in COMMANDS:
        listed = "\n".join(f"  {name:16} {what}" for name, (_, what) in COMMANDS.items())
        print(
            f"usage: {typed_command('miniature')} COMMAND --help\n\n{listed}", file=sys.stdout if asked else sys.stderr
        )
        return 0 if asked else 2
    name, *options = arguments
    module, _, function = COMMANDS[name][0].partition(":")
    run = getattr(import_module(f"videorouter.{module}"), function)
    prog = f"{typed_command('miniature')} {name}"
    auto_cli(run, args=underscored(options), as_positional=False, prog=prog, parser_class=ArgumentParser)
    return 0


if __name__ == "__main__":
    sys.exit(main())
