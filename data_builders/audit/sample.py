"""Which labels are audited: drawn by seed and spread over the videos."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal

from videorouter.shards.catalogue import Catalogue, Place, read_labels
from videorouter.shards.schema import LabelledQuestion

Kind = Literal["relevance", "policy"]
"""What is judged: which frames carry the evidence (Video-FLR), or which policy answers best (Video-QTR)."""


@dataclass(frozen=True)
class AuditItem:
    """A label to judge; `id` names it in a file of verdicts."""

    place: Place
    labelled: LabelledQuestion
    kind: Kind

    @property
    def id(self) -> str:
        return item_id(self.place, self.labelled)


def item_id(place: Place, labelled: LabelledQuestion) -> str:
    """The sample's key and the question's id: unique over a data set."""
    return f"{place.entry.key}/{labelled.question.id}"


def digest(labels: Mapping[str, LabelledQuestion]) -> str:
    """sha256 of labels by their id, whatever their order: verdicts are about these and no others."""
    content = [[name, labels[name].model_dump_json(exclude_none=True)] for name in sorted(labels)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def kind_of(labelled: LabelledQuestion) -> Kind | None:
    """What there is to judge: the policy where there is one, else the frames; None where neither is labelled."""
    return "policy" if labelled.policy else "relevance" if labelled.relevance else None


def draw(catalogue: Catalogue, sample: int, seed: int) -> list[AuditItem]:
    """At most `sample` labels, one a video before any video gives a second; the same for the same data and seed (ours).

    Frames are not read, and labels only of the videos drawn. Raises `ShardError`.
    """
    places = list(catalogue.places)
    Random(seed).shuffle(places)
    waiting: dict[str, list[AuditItem]] = {}
    drawn: list[AuditItem] = []
    while len(drawn) < sample and places:
        left = []
        for place in places:
            if place.entry.key not in waiting:
                waiting[place.entry.key] = _shuffled(catalogue, place, seed)
            if len(drawn) < sample and waiting[place.entry.key]:
                drawn.append(waiting[place.entry.key].pop())
            if len(drawn) == sample:
                return drawn
            if waiting[place.entry.key]:
                left.append(place)
        places = left
    return drawn


def _shuffled(catalogue: Catalogue, place: Place, seed: int) -> list[AuditItem]:
    found = [
        AuditItem(place, labelled, kind)
        for labelled in read_labels(catalogue.storage, place)
        if (kind := kind_of(labelled)) is not None
    ]
    Random(f"{seed} {place.entry.key}").shuffle(found)
    return found
