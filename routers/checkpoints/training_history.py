"""What led to a router folder: its trainings in order, each with metrics, data and settings; kept beside the weights (ours).

`training.json` lists them, `training-NAME.yaml` is the resolved config of each.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from videorouter.json_files import read_object

HISTORY: Final = "training.json"
SETTINGS: Final = "training-*.yaml"


@dataclass(frozen=True)
class Training:
    """One training that weights of a router folder come from.

    Args:
        stage: image, semantic or joint
        metrics: of validation data, by their names in the log
        validated_at: optimizer step at which they were measured; None where nothing was validated
        step: optimizer step of the weights
        data: folder, fingerprint, licences and Hub id (each None or empty where there is none) of each data set
        split: of the data that was validated on
        settings: the resolved config as YAML
        hub_ids: repositories that it took, such as the router folder that a stage 3 started from
    """

    stage: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    validated_at: int | None = None
    step: int | None = None
    data: Sequence[Mapping[str, Any]] = ()
    split: str | None = None
    settings: str | None = None
    hub_ids: Sequence[str] = ()

    @classmethod
    def of_record(cls, head: str, record: Mapping[str, Any]) -> "Training":
        """Of what a checkpoint says; one of before 0.2, which names no stage, is that of the `head` it holds, or joint."""
        usual = "joint" if "language" in record else head
        return cls(
            record.get("stage", usual),
            record["metrics"],
            record.get("validated_at"),
            record.get("step"),
            record["data"],
            record.get("split"),
            record["config"],
            record.get("hub_ids", ()),
        )

    @property
    def finite_metrics(self) -> dict[str, float]:
        """Those that are numbers, by name."""
        return {name: value for name, value in sorted(self.metrics.items()) if math.isfinite(value)}

    def as_json(self) -> dict[str, Any]:
        """Everything, for a checkpoint's record."""
        return asdict(self)


def earlier_trainings(record: Mapping[str, Any]) -> list[Training]:
    """Those before the training that a checkpoint is of."""
    return [Training(**one) for one in record.get("earlier", ())]


def named(trainings: Sequence[Training]) -> dict[str, Training]:
    """By name: the stage, and from its second training on its number."""
    found: dict[str, Training] = {}
    for training in trainings:
        count = sum(one.stage == training.stage for one in found.values()) + 1
        found[training.stage if count == 1 else f"{training.stage}-{count}"] = training
    return found


def write_history(folder: Path, trainings: Sequence[Training]) -> None:
    """Write training.json and the YAML of each training."""
    by_name = named(trainings)
    listed = [
        {"name": name} | {key: value for key, value in asdict(one).items() if key != "settings"}
        for name, one in by_name.items()
    ]
    (folder / HISTORY).write_text(json.dumps({"trainings": listed}, indent=1) + "\n", encoding="utf-8")
    for name, one in by_name.items():
        if one.settings is not None:
            (folder / _settings_file(name)).write_text(one.settings, encoding="utf-8")


def read_history(folder: Path) -> list[Training]:
    """The trainings that a router folder names; of exports of before 0.2 stages and settings alone.

    Raises `ValueError` for a damaged training.json.
    """
    if not (folder / HISTORY).is_file():
        found = {path.stem.removeprefix("training-"): path for path in sorted(folder.glob(SETTINGS))}
        return [Training(stage, settings=path.read_text(encoding="utf-8")) for stage, path in found.items()]
    try:
        listed = [dict(one) for one in read_object(folder / HISTORY, "export again")["trainings"]]
        by_name = {one.pop("name"): Training(**one) for one in listed}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{folder / HISTORY} is not as `videorouter routers export` writes it: export again"
        ) from error
    return [replace(one, settings=_read(folder / _settings_file(name))) for name, one in by_name.items()]


def _settings_file(name: str) -> str:
    return f"training-{name}.yaml"


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
