"""`videorouter shards {verify,stats,show,merge,split,push}`."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jsonargparse import auto_cli

from videorouter.command_line import command, typed_command
from videorouter.usage import ArgumentParser


def verify(folder: Path, complete: bool = False) -> int:
    """Read every byte: hashes, tar headers, keys, schema, pictures, labels. Exit code 1 where something is wrong.

    Args:
        folder: folder of shards
        complete: hold it against a folder that its build did not finish, too
    """
    from videorouter.shards.verify import verify as verified

    verdict = verified(folder)
    for problem in verdict.problems:
        print(problem, file=sys.stderr)
    seen = f"{verdict.shards} shards, {verdict.samples} samples"
    if verdict.problems:
        print(f"{folder}: {len(verdict.problems)} problems in {seen}")
        return 1
    if not verdict.finished:
        print(f"{folder}: sound so far ({seen}); there is no manifest.json: the build has not finished")
        return 1 if complete else 0
    print(f"{folder}: sound ({seen})")
    return 0


def stats(folder: str, as_json: bool = False) -> int:
    """Count videos, questions, labels, policies, licences, hours and bytes by split.

    Args:
        folder: folder or fsspec address of shards
        as_json: print JSON instead of a table
    """
    from rich.console import Console
    from rich.table import Table

    from videorouter.shards.stats import statistics

    rows = statistics(folder)
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return 0
    table = Table("", *(row.split for row in rows), title=folder)
    table.add_row("shards", *(str(row.shards) for row in rows))
    table.add_row("videos", *(str(row.videos) for row in rows))
    table.add_row("frames", *(str(row.frames) for row in rows))
    table.add_row("questions", *(str(row.questions) for row in rows))
    table.add_row("with frame relevance", *(str(row.relevance_labels) for row in rows))
    table.add_row("mean relevant share", *(f"{row.relevant_share:.3f}" for row in rows))
    table.add_row("policies", *(_counts(row.policies) for row in rows))
    table.add_row("licences", *(_counts(row.licences) for row in rows))
    table.add_row("video length", *("{:.0f} / {:.0f} / {:.0f} s".format(*row.seconds) for row in rows))
    table.add_row("hours", *(f"{row.hours:.2f}" for row in rows))
    table.add_row("size", *(f"{row.bytes / 1e6:.1f} MB" for row in rows))
    Console(markup=False).print(table)
    return 0


def show(folder: str, key: str, out: Path = Path("sample.html")) -> int:
    """Write one sample as an HTML page to look at.

    Args:
        folder: folder or fsspec address of shards
        key: the sample's, or a part of it that no other has
        out: HTML file to write
    """
    from videorouter.shards.catalogue import Catalogue, read_sample
    from videorouter.shards.page import page
    from videorouter.shards.writer import write_atomically

    catalogue = Catalogue(folder)
    found = [place for place in catalogue.places if place.entry.key == key]
    found = found or [place for place in catalogue.places if key in place.entry.key]
    if len(found) != 1:
        some = ", ".join(place.entry.key for place in (found or catalogue.places)[:5])
        raise ValueError(f"{len(found)} samples of {folder} have {key!r} in their key; there are {some}, ...")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, page(read_sample(catalogue.storage, found[0])))
    print(f"{found[0].entry.key}: {out}")
    return 0


def merge(folders: list[Path], out: Path, videos_per_shard: int = 8) -> int:
    """Make one data set of several finished ones.

    Args:
        folders: folders of shards
        out: folder to write
        videos_per_shard: samples a shard
    """
    from videorouter.shards.merge_split import merge as merged

    manifest = merged(folders, out, videos_per_shard)
    print(f"{out}: {len(manifest.shards)} shards, {sum(shard.videos for shard in manifest.shards)} videos")
    return 0


def split(folder: Path, out: Path, shares: dict[str, float], seed: int = 0, videos_per_shard: int = 8) -> int:
    """Split a finished data set anew by video; no video is in two splits.

    Args:
        folder: folder of shards
        out: folder to write
        shares: weights by split, such as '{train: 9, val: 1}'
        seed: of the drawing
        videos_per_shard: samples a shard
    """
    from videorouter.shards.merge_split import split as resplit

    manifest = resplit(folder, out, shares, seed, videos_per_shard)
    print(f"{out}: {len(manifest.shards)} shards, {sum(shard.videos for shard in manifest.shards)} videos")
    return 0


def push(folder: Path, repo_id: str, private: bool = False) -> int:
    """Upload a finished folder with its card to the Hub as one commit; repeatable.

    Args:
        folder: folder of shards
        repo_id: user/name
        private: make a new repository private
    """
    from videorouter.shards.hub import push as pushed

    done = pushed(folder, repo_id, private=private)
    print(f"{done.files} files at {done.url}")
    return 0


@command(how_to_resume="the same command begins again; nothing unfinished was left")
def main(arguments: list[str]) -> int:
    """Run a subcommand."""
    commands: dict[str, Any] = {
        "verify": verify,
        "stats": stats,
        "show": show,
        "merge": merge,
        "split": split,
        "push": push,
    }
    code: int = auto_cli(commands, args=arguments, prog=typed_command("shards"), parser_class=ArgumentParser)
    return code


def _counts(counts: dict[str, int]) -> str:
    return "\n".join(f"{name} {count}" for name, count in counts.items()) or "-"


if __name__ == "__main__":
    sys.exit(main())
