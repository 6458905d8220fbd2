"""The dataset card: what the Hub shows of a data set, generated from its manifest and its labels."""

import json
from collections.abc import Sequence

from videorouter.shards.schema import Manifest
from videorouter.shards.stats import SplitStats


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

With VideoRouter, where every sample is checked as it is read: `shards.ShardDataset("hf://datasets/{name}", split="{first}")`.

Schema version {schema}, fingerprint `{fingerprint}`. Built with:

```json
{config}
```
"""
