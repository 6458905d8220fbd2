"""`videorouter video FILE`: which frames a sampler takes, and which decoder gave them."""

import sys
from pathlib import Path

from jsonargparse import auto_cli

from videorouter.command_line import command, typed_command
from videorouter.usage import ArgumentParser


def sample(file: Path, count: int = 8, sampler: str = "segment_midpoint") -> None:
    """Print the frames that a sampler takes from a video.

    Args:
        file: video file
        count: frames to sample
        sampler: segment_midpoint or interior
    """
    from videorouter.video.decode import sample_frames

    taken = sample_frames(file, count, sampler)
    height, width = taken.frames.shape[1:3]
    print(f"{taken.decoder}: {taken.total} frames of {width}x{height}, {taken.duration:.2f} s, {taken.fps:.3f} fps")
    for index, second in zip(taken.indices, taken.seconds, strict=True):
        print(f"frame {index:6d}  {second:9.3f} s")


@command()
def main(arguments: list[str]) -> None:
    """Print the sampled frames of a file."""
    auto_cli(sample, args=arguments, prog=typed_command("video"), parser_class=ArgumentParser)


if __name__ == "__main__":
    sys.exit(main())
