"""Needle in a haystack: which decoder layer's attention finds the frames that hold a question's answer?

AdaptToken (arXiv 2603.28696) reads its token scores at one late layer that such a probe finds; the measure here is ours.
"""

import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from rich.table import Table
from torch import Tensor

from videorouter.routers.backbones.protocol import Backbone
from videorouter.routers.backbones.temporal import merged_any, merged_seconds
from videorouter.routers.routing.metrics import auroc_within_question
from videorouter.routers.systems.adapttoken import checked_layer
from videorouter.routers.systems.group_inspection import whole_video
from videorouter.routers.systems.query import Query, question_text


@dataclass(frozen=True)
class Haystack:
    """A video's `frames` uint8 RGB `[T, H, W, 3]`, shown at `seconds`, and questions with T bools: is the answer in this frame?"""

    video: str
    frames: np.ndarray
    seconds: list[float]
    needles: list[tuple[Query, tuple[bool, ...]]]


def read_haystacks(
    folder: Path, split: str | None = None, *, questions: int = 64, a_video: int = 8, largest_share: float = 0.25
) -> Iterator[Haystack]:
    """Up to `questions` questions, at most `a_video` of one video, in the order of the shards in the local `folder`.

    Only questions count whose evidence is in some frames, at most `largest_share` of them: a needle must be small. Shards are
    read as the plain tars that they are (docs/shard-format.md). Raises `ValueError` where there is none or no such question.
    """
    shards = sorted(path for path in folder.glob("*.tar") if split is None or path.stem.rsplit("-", 1)[0] == split)
    if not shards:
        raise ValueError(
            f"no shards{f' of split {split!r}' if split else ''} in {folder}: give a folder of Video-FLR shards"
        )
    left = questions
    for shard in shards:
        for members in _samples(shard):
            asked = _needles(members["labels.json"], largest_share)[: min(left, a_video)]
            if asked:
                left -= len(asked)
                record = json.loads(members["video.json"])
                frames = _frames(members["frames.mjpeg"], record["frame_bytes"])
                yield Haystack(record["uri"], frames, record["seconds"], asked)
            if not left:
                return
    if left == questions:
        raise ValueError(f"no question in {folder} has evidence in at most {largest_share:.0%} of its video's frames")


def _samples(shard: Path) -> Iterator[dict[str, bytes]]:
    """The members of one sample after another, by name without the key."""
    key, members = "", dict[str, bytes]()
    with tarfile.open(shard) as tar:
        for info in tar:
            of, name = info.name.split(".", 1)
            if of != key and members:
                yield members
                members = {}
            file = tar.extractfile(info)
            assert file is not None
            key, members[name] = of, file.read()
    if members:
        yield members


def _needles(labels: bytes, largest_share: float) -> list[tuple[Query, tuple[bool, ...]]]:
    found = []
    for labelled in json.loads(labels)["questions"]:
        question: dict[str, Any] = labelled["question"]
        relevant = (labelled["relevance"] or {}).get("relevant", [])
        if 0 < sum(relevant) <= largest_share * len(relevant):
            found.append((Query(question["question"], tuple(question["options"] or ()) or None), tuple(relevant)))
    return found


def _frames(packed: bytes, sizes: list[int]) -> np.ndarray:
    pictures = [packed[start:end] for start, end in pairwise(accumulate(sizes, initial=0))]
    return np.stack([np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")) for picture in pictures])


@dataclass(frozen=True)
class LayerQuality:
    """How well one layer (0-based) finds needles: means over `questions` questions.

    `recall`: of the n tokens in a question's evidence frames, the share among the n most attended tokens of the video;
    `chance` is what random scores give. `auroc`: of frames, by their most attended token.
    """

    layer: int
    recall: float
    auroc: float
    chance: float
    questions: int


@torch.no_grad()
def probe_layers(
    backbone: Backbone,
    haystacks: Iterable[Haystack],
    layers: Sequence[int] | None = None,
    after_question: Callable[[], None] = lambda: None,
) -> list[LayerQuality]:
    """Attention of every one of `layers` (all that can be read where None) on every question, averaged over these, in layer order.

    Costs a prefill a question and layer. Raises `ValueError` for a layer that there is not, or no question.
    """
    chosen = [checked_layer(layer, backbone) for layer in (backbone.readable_layers if layers is None else layers)]
    found: dict[int, list[tuple[float, float]]] = {layer: [] for layer in chosen}
    chances = []
    for haystack in haystacks:
        grid = backbone.grid_of(*haystack.frames.shape[:3])
        tokens = backbone.encode_frames(haystack.frames, grid=grid)
        whole, merged = whole_video(tokens, grid), backbone.frames_per_patch
        seconds = merged_seconds(haystack.seconds, merged)
        for query, needles in haystack.needles:
            prompt = backbone.embed_prompt(whole, question_text(query), seconds)
            wanted = torch.tensor(merged_any(needles, merged))
            for layer in chosen:
                attention = backbone.inspect(prompt, layer, max_new_tokens=1).attention
                found[layer].append(needle_quality(attention.float().cpu().view(tokens.shape[:2]), wanted))
            chances.append(float(wanted.float().mean()))
            after_question()
    if not chances:
        raise ValueError("no question to probe layers with")
    return [
        LayerQuality(layer, _mean([q[0] for q in each]), _mean([q[1] for q in each]), _mean(chances), len(each))
        for layer, each in found.items()
    ]


def best_layer(qualities: Sequence[LayerQuality]) -> int:
    """The layer of highest recall; of equals that of higher AUROC, then the lower one. Raises `ValueError` for none."""
    return max(qualities, key=lambda quality: (quality.recall, quality.auroc, -quality.layer)).layer


def needle_quality(attention: Tensor, wanted: Tensor) -> tuple[float, float]:
    """(recall, frame AUROC) of attention `[T, M]` against evidence frames `[T]` bools, as in `LayerQuality`."""
    tokens = int(wanted.sum()) * attention.shape[1]
    most = attention.flatten().argsort(descending=True, stable=True)[:tokens]
    recall = float(wanted[most // attention.shape[1]].float().mean())
    area = auroc_within_question(attention.amax(dim=1), wanted)
    assert area is not None, "a needle must be in some frames and not in all"
    return recall, area


def layer_table(qualities: Sequence[LayerQuality], model: str) -> Table:
    """For the terminal: a row a layer, the best one marked."""
    first = qualities[0]
    table = Table(
        title=f"{model}: {first.questions} questions, recall by chance {first.chance:.3f}", title_justify="left"
    )
    for heading in ("layer", "recall", "AUROC", ""):
        table.add_column(heading, justify="right" if heading else "left")
    best, most = best_layer(qualities), max(quality.recall for quality in qualities)
    for quality in qualities:
        bar = "█" * round(20 * quality.recall / max(most, 1e-9))
        style = "bold" if quality.layer == best else None
        table.add_row(str(quality.layer), f"{quality.recall:.3f}", f"{quality.auroc:.3f}", bar, style=style)
    return table


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
