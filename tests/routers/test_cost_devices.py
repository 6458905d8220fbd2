"""The estimate by device is transformers' own map, with the cache and work of what lies there; what spills is said."""

import json
from pathlib import Path
from typing import Any

import pytest
from test_cost_head import EMBEDDINGS, HEAD, LARGE_TEXT, LARGE_VISION, TEXT, VISION, published

from videorouter.routers.__main__ import main
from videorouter.routers.cost.devices import Devices, automatic_map
from videorouter.routers.cost.estimate import Estimate, estimate
from videorouter.routers.cost.head import read_checkpoint
from videorouter.routers.cost.parameters import meta_model


@pytest.fixture
def eight(tmp_path: Path) -> Any:
    """InternVL3-8B's config."""
    return read_checkpoint(str(published(tmp_path / "8b", TEXT, VISION, (EMBEDDINGS, HEAD)))).config


def loads(cost: Estimate) -> Any:
    assert cost.devices is not None
    return cost.devices.loads


def test_weights_and_cache_of_all_devices_are_those_of_the_model(eight: Any) -> None:
    cost = estimate(eight, devices=Devices(3, 12))
    held = loads(cost)
    assert [load.device for load in held] == ["cuda:0", "cuda:1", "cuda:2"]
    assert sum(load.weights for load in held) == sum(cost.bytes.values())
    for name, system in cost.systems.items():
        assert sum(load.systems[name].cache for load in held) == pytest.approx(system.memory.cache)
        assert all(load.fits(name) for load in held)
    assert held[0].holds.startswith("vision, projector, embeddings, layers 0-")
    assert held[-1].holds.endswith(", head")
    assert cost.devices is not None
    assert cost.devices.said == ()


def test_one_gpu_that_holds_all_peaks_where_the_whole_estimate_does(eight: Any) -> None:
    cost = estimate(eight, devices=Devices(1, 80))
    (load,) = loads(cost)
    assert load.peak("dense") == pytest.approx(cost.systems["dense"].memory.total)
    copies = 4 * cost.parameters["layers"] / 28 * 2  # a model that is spread lends its routers no layers
    assert load.peak("videorouter") == pytest.approx(cost.systems["videorouter"].memory.total + copies, rel=0.01)


def test_the_map_is_that_of_transformers(eight: Any) -> None:
    model: Any = meta_model(eight).to(eight.dtype)
    placed = automatic_map(model, Devices(2, 24))
    layers = [str(placed.get(f"model.language_model.layers.{layer}")) for layer in range(28)]
    assert layers == sorted(layers)
    assert set(layers) == {"cuda:0", "cuda:1"}


def test_what_spills_is_said_and_held_by_none_of_the_gpus(eight: Any) -> None:
    cost = estimate(eight, devices=Devices(1, 12, cpu_memory=3))
    held = {load.device: load for load in loads(cost)}
    assert list(held) == ["cuda:0", "cpu", "disk"]
    assert sum(load.weights for load in held.values()) == sum(cost.bytes.values())
    assert held["cuda:0"].systems["dense"].cache == pytest.approx(cost.systems["dense"].memory.cache)
    assert held["cuda:0"].reserved > 0
    assert held["cpu"].systems["dense"].cache == held["disk"].systems["dense"].cache == 0
    assert cost.devices is not None
    cpu, disk = [line for line in cost.devices.said if line.startswith("does not fit on the GPUs")]
    assert f"{held['cpu'].holds} ({held['cpu'].weights / 1e9:,.2f} GB) spill to the CPU" in cpu
    assert "spill to a disk" in disk


def test_a_peak_beyond_a_gpu_is_said(eight: Any) -> None:
    cost = estimate(eight, devices=Devices(1, 17))
    assert cost.devices is not None
    (line,) = [line for line in cost.devices.said if line.startswith("cuda:0")]
    assert "does not fit: it has 18.25 GB and needs" in line
    assert "for dense" in line


def test_the_38b_model_is_shown_over_two_gpus(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    folder = published(tmp_path / "base", LARGE_TEXT, LARGE_VISION, (EMBEDDINGS, HEAD))
    asked = ["estimate", "--model", str(folder), "--gpus", "2", "--gpu-memory", "48"]
    assert main(asked) == 0
    out = capsys.readouterr().out
    assert "…" not in out
    assert "layers 26-63, head" in out
    assert "does not fit" not in out
    assert main([*asked, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["devices"]
    assert [load["device"] for load in found["loads"]] == ["cuda:0", "cuda:1"]
    assert all(load["systems"]["dense"]["fits"] for load in found["loads"])
