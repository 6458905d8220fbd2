"""To the Hub: a finished folder and its dataset card as one commit. Repeating a push that failed ends in the same state."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from videorouter.shards.schema import Manifest
from videorouter.shards.sidecar import MANIFEST, finished_manifest
from videorouter.shards.stats import SplitStats, statistics
from videorouter.shards.verify import verify
from videorouter.shards.writer import write_atomically

CARD = "README.md"


class PushFailed(OSError):
    """The Hub refused, or was not reached."""


@dataclass(frozen=True)
class Pushed:
    """The address and id of the commit; `files` it holds."""

    url: str
    commit: str
    files: int


def push(folder: Path, repo_id: str, *, private: bool = False, revision: str | None = None) -> Pushed:
    """Upload the data set as repository `repo_id` (made where there is none); shards no longer in it are deleted there.

    The token and address are huggingface_hub's (`hf auth login`, HF_TOKEN, HF_ENDPOINT). What the Hub holds already is not
    sent again.

    Raises:
        ShardError: where the folder is unfinished or damaged; nothing is sent.
        PushFailed: where the Hub refuses or is not reached.
    """
    from huggingface_hub import HfApi

    verdict = verify(folder)
    if verdict.problems:
        raise verdict.problems[0]
    manifest = finished_manifest(folder)
    write_card(folder, repo_id)
    names = [MANIFEST, CARD, *(name for shard in manifest.shards for name in (shard.name, f"{shard.name[:-4]}.json"))]
    api = HfApi()
    try:
        api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo_id,
            repo_type="dataset",
            folder_path=folder,
            allow_patterns=names,
            delete_patterns=["*.tar", "*.json"],
            revision=revision,
            commit_message=f"Data set {manifest.fingerprint[:12]}",
        )
    except Exception as error:  # the client's own, its HTTP library's (another in every major version), RuntimeError
        reason = " ".join(str(error.__cause__ or error).split())
        raise PushFailed(
            f"the Hub did not take {repo_id} ({reason}): it holds what it held before; the same command resumes"
        ) from error
    return Pushed(commit.commit_url, commit.oid, len(names))


def write_card(folder: Path, name: str) -> Path:
    """Write the card `README.md` of a finished folder; its path."""
    write_atomically(folder / CARD, dataset_card(finished_manifest(folder), statistics(folder), name))
    return folder / CARD


def dataset_card(manifest: Manifest, rows: Sequence[SplitStats], name: str) -> str:
    """`README.md` of a data set: front matter for the Hub and `datasets`, counts, origin, and how to read it."""
    licences = sorted({licence for row in rows for licence in row.licences})
    splits = "\n".join(
        f"  - split: {row.split.replace('-', '_')}\n    path: {row.split}-{'[0-9]' * 5}.tar" for row in rows
    )
    table = "\n".join(
        f"| {row.split} | {row.videos} | {row.questions} | {row.relevance_labels} | {row.relevant_share:.3f} "
        f"| {', '.join(f'{policy} {count}' for policy, count in row.policies.items()) or '-'} | {row.hours:.2f} "
        f"| {row.bytes / 1e6:.1f} |"
        for row in rows
    )
    by_licence = "\n".join(
        f"* {licence}: {sum(row.licences.get(licence, 0) for row in rows)} questions" for licence in licences
    )
    return _CARD.format(
        name=name,
        splits=splits,
        table=table,
        licences=by_licence,
        fingerprint=manifest.fingerprint,
        schema=manifest.schema_version,
        config=json.dumps(manifest.config, indent=2, sort_keys=True),
        first=rows[0].split,
    )


_CARD = """---
license: other
license_name: by-question
task_categories:
- video-text-to-text
tags:
- webdataset
- video
- videorouter
configs:
- config_name: default
  data_files:
{splits}
---
# {name}

Labelled questions about videos for query-adaptive routing of visual tokens: which frames carry a question's evidence, and which
allocation policy answers it best. One sample is one video with its sampled frames and all of its questions. The labels are
made by a program (see `origin` and `teacher` of each question), not by hand.

| split | videos | questions | with frame relevance | mean relevant share | policies | hours | MB |
| --- | --- | --- | --- | --- | --- | --- | --- |
{table}

## Licences

The frames and questions keep the licences of their sources, stated with every question:

{licences}

## Reading it

Plain webdataset: every sample has the members `frames.mjpeg` (its JPEG frames one after another), `video.json` (where they came
from; `frame_bytes` are the sizes to cut `frames.mjpeg` at) and `labels.json`.

```python
from datasets import load_dataset

for sample in load_dataset("{name}", split="{first}", streaming=True):
    sample["labels.json"]["questions"]
```

With VideoRouter, where every sample is checked as it is read: `videorouter.ShardDataset("hf://datasets/{name}", split="{first}")`.

Schema version {schema}, fingerprint `{fingerprint}`. Built with:

```json
{config}
```
"""
