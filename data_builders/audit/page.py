"""The page of an audit: one label at a time with all its frames, judged by keyboard or mouse, in one file without a server."""

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

from PIL import Image

from videorouter.data_builders.audit.agreement import FORMAT, PUBLISHED, Z
from videorouter.data_builders.audit.sample import AuditItem, digest, draw
from videorouter.shards.catalogue import Catalogue, read_sample
from videorouter.shards.sample import ShardSample
from videorouter.shards.sidecar import finished_manifest
from videorouter.shards.writer import write_atomically

LARGEST_SIDE, QUALITY = 256, 80
"""Frames are shrunk to this many pixels: a hundred videos of 64 frames make a page of some 80 MB."""


def write_audit(folder: Path, sample: int, seed: int, out: Path) -> int:
    """Write the page that asks about `sample` labels of a finished data set; how many there are on it.

    Its verdicts are downloaded as JSON, for `agreement`. Raises `ValueError` for a sample below 1 or a data set without labels,
    `ShardError` for one that is not finished or does not read.
    """
    if sample < 1:
        raise ValueError(f"a sample of {sample} labels: at least 1 is needed")
    manifest = finished_manifest(folder)
    catalogue = Catalogue(folder)
    items = draw(catalogue, sample, seed)
    if not items:
        raise ValueError(f"{folder} holds no frame relevance and no policies: there is nothing to audit")
    samples = {item.place.entry.key: item.place for item in items}
    videos = "".join(
        f'<script type="application/json" id="video-{number}">{_json(_video(read_sample(catalogue.storage, place)))}</script>\n'
        for number, place in enumerate(samples.values())
    )
    about = {
        "format": FORMAT,
        "fingerprint": manifest.fingerprint,
        "labels": digest({item.id: item.labelled for item in items}),
        "dataset": folder.resolve().name,
        "seed": seed,
        "z": Z,
        "published": PUBLISHED,
        "items": _items(items, list(samples)),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    template = Template(Path(__file__).with_name("audit.html").read_text(encoding="utf-8"))
    write_atomically(out, template.substitute(about=_json(about), videos=videos))
    return len(items)


def _items(items: Sequence[AuditItem], keys: Sequence[str]) -> list[dict[str, Any]]:
    """What the page shows of each label; `video` is the number of its video's frames."""
    return [
        {
            "id": item.id,
            "kind": item.kind,
            "video": keys.index(item.place.entry.key),
            "question": item.labelled.question.question,
            "options": item.labelled.question.options,
            "answer": item.labelled.question.answer,
            "reason": item.labelled.reason,
            "task_type": item.labelled.question.task_type,
            "origin": item.labelled.origin,
            "teacher": item.labelled.teacher,
            "prompt_hash": item.labelled.prompt_hash,
            "relevance": item.labelled.relevance.model_dump() if item.labelled.relevance else None,
            "policy": item.labelled.policy.model_dump() if item.labelled.policy else None,
        }
        for item in items
    ]


def _video(sample: ShardSample) -> dict[str, Any]:
    frames = [f"data:image/jpeg;base64,{base64.b64encode(_shrunk(data)).decode()}" for data in sample.jpegs]
    return {
        "uri": sample.video.uri,
        "duration": sample.video.duration,
        "seconds": sample.video.seconds,
        "width": sample.video.width,
        "height": sample.video.height,
        "frames": frames,
    }


def _shrunk(data: bytes) -> bytes:
    """A JPEG no larger than the page wants it; a smaller one stays as it is."""
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as picture:
        if max(picture.size) <= LARGEST_SIDE:
            return data
        small = picture.convert("RGB")
        small.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def _json(content: Any) -> str:
    """JSON that is safe in a script element: nothing in it can end the element or begin another."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
