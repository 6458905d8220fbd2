"""How many audited labels people agreed with, from the file that the audit's page downloads."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from videorouter.data_builders.audit.sample import digest, item_id, kind_of
from videorouter.shards.catalogue import Catalogue, read_labels
from videorouter.shards.schema import LabelledQuestion
from videorouter.shards.sidecar import finished_manifest

FORMAT = "videorouter-audit-1"
Z = 1.959964
"""Of a two-sided 95 % interval."""
PUBLISHED = {"relevance": 0.884, "policy": 0.940}
"""The paper's human audits: frame labels of Video-FLR-200K, policies of Video-QTR-10K."""
_NAMES = {"relevance": "Video-FLR frame labels", "policy": "Video-QTR policies"}
_VERDICTS = ("agree", "disagree", "skip")


@dataclass(frozen=True)
class Agreement:
    """Verdicts on a data set's labels; `kind` is relevance, policy, or both where the data set holds both."""

    kind: str
    agree: int
    disagree: int
    skipped: int
    unanswered: int

    @property
    def rate(self) -> float:
        """Share of agreement among the judged, skipped ones left out; nan where none was judged."""
        judged = self.agree + self.disagree
        return self.agree / judged if judged else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of `rate` (Wilson 1927); (0, 1) where none was judged."""
        return wilson(self.agree, self.agree + self.disagree)


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % score interval of a share; (0, 1) without trials."""
    if not trials:
        return 0.0, 1.0
    share, spread = successes / trials, Z * Z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = Z * math.sqrt(share * (1 - share) / trials + spread / (4 * trials)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def agreement(verdicts_json: Path, folder: Path) -> Agreement:
    """Count the verdicts of a downloaded file.

    Raises `ValueError` where it is no such file, was made for another data set than `folder`, or judges labels that are not in
    it or have changed; `ShardError` where `folder` is not finished or does not read.
    """
    found = _read(verdicts_json)
    fingerprint = finished_manifest(folder).fingerprint
    if found["fingerprint"] != fingerprint:
        raise ValueError(
            f"{verdicts_json} judges another data set: its fingerprint is {str(found['fingerprint'])[:12]}, "
            f"that of {folder} is {fingerprint[:12]}"
        )
    verdicts: dict[str, str] = found["verdicts"]
    labels = _labels(folder, set(verdicts))
    if unknown := sorted(verdicts.keys() - labels.keys()):
        raise ValueError(f"{verdicts_json} judges {len(unknown)} labels that {folder} does not hold, as {unknown[0]}")
    if found.get("labels") != digest(labels):
        raise ValueError(f"the labels in {folder} are not those that {verdicts_json} judges: audit it again")
    given = list(verdicts.values())
    return Agreement(
        kind=" and ".join(sorted({kind_of(labelled) or "" for labelled in labels.values()})),
        agree=given.count("agree"),
        disagree=given.count("disagree"),
        skipped=given.count("skip"),
        unanswered=len(given) - sum(map(given.count, _VERDICTS)),
    )


def print_agreement(found: Agreement, console: Console | None = None) -> None:
    """A table of the verdicts, with the paper's figures beside it."""
    table = Table("label", "agree", "disagree", "skipped", "open", "agreement", "95 % interval", title="human audit")
    counts = (found.agree, found.disagree, found.skipped, found.unanswered)
    low, high = found.interval
    rate = "-" if math.isnan(found.rate) else f"{100 * found.rate:.1f} %"
    table.add_row(_NAMES.get(found.kind, found.kind), *map(str, counts), rate, f"{100 * low:.1f} - {100 * high:.1f} %")
    for kind, published in PUBLISHED.items():
        table.add_row(f"paper, {_NAMES[kind]}", "", "", "", "", f"{100 * published:.1f} %", "")
    (console or Console(markup=False)).print(table)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"no verdicts at {path}: download them from the audit's page")
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}): download it again from the audit's page") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT or "fingerprint" not in found:
        raise ValueError(f"{path} is not a file of verdicts ({FORMAT}), as the audit's page downloads")
    verdicts = found.get("verdicts")
    if not isinstance(verdicts, dict) or not verdicts:
        raise ValueError(f"{path} holds no `verdicts` by label")
    if wrong := [value for value in verdicts.values() if value is not None and value not in _VERDICTS]:
        raise ValueError(f"{path} holds the verdict {wrong[0]!r}: there are {', '.join(_VERDICTS)} and null")
    return found


def _labels(folder: Path, wanted: set[str]) -> dict[str, LabelledQuestion]:
    """Those of the wanted labels that the data set holds."""
    catalogue = Catalogue(folder)
    keys = {name.partition("/")[0] for name in wanted}
    return {
        item_id(place, labelled): labelled
        for place in catalogue.places
        if place.entry.key in keys
        for labelled in read_labels(catalogue.storage, place)
        if kind_of(labelled) and item_id(place, labelled) in wanted
    }
