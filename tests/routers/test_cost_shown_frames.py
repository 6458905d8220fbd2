"""A Qwen model's cost is that of frames as loading would show them: its limits, the options, a router's shape, the file's size."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_backbones import video, write_tiny

from tests.video.oblong import write_oblong_video
from videorouter.routers.__main__ import main
from videorouter.routers.backbones.frame_shape import FrameShape
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.backbones.loading_options import PromptOptions
from videorouter.routers.checkpoints.router_folder import BaseModel, RouterConfig, write_config
from videorouter.routers.cost.report import answer_cost, model_cost

FAMILIES = ("qwen2_5_vl", "qwen3_vl")
LIMITS = {
    "qwen2_5_vl": ("preprocessor_config.json", {"min_pixels": 3136, "max_pixels": 60_000}),
    "qwen3_vl": ("video_preprocessor_config.json", {"size": {"shortest_edge": 4096, "longest_edge": 8 * 100_000}}),
}
FRAMES = 8


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny checkpoints with limits of their own, below what the family's are."""
    made = {family: write_tiny(tmp_path_factory.mktemp(family) / "model", family) for family in FAMILIES}
    for family, folder in made.items():
        name, content = LIMITS[family]
        (folder / name).write_text(json.dumps(content))
    return made


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Path:
    return folders[request.param]


def export(base: Path, out: Path, **more: Any) -> str:
    """A router folder as far as an estimate reads it."""
    out.mkdir()
    write_config(out, RouterConfig(BaseModel(str(base), ""), frames=FRAMES, **more))
    return str(out)


def tokens(cost: Any) -> int:
    """Tokens of a frame, as the dense model's cost has them."""
    return int(cost.systems["dense"].flops["square"].visual) * cost.frames_per_patch // cost.workload.frames


@pytest.mark.parametrize("size", [(90, 160), (720, 1280), (448, 252)])
@pytest.mark.parametrize(
    "options",
    [{}, {"max_pixels": 20_000}, {"min_pixels": 40_000}, {"frame_size": 224}],
    ids=lambda one: "".join(one) or "own",
)
def test_tokens_of_a_frame_are_those_that_the_backbone_encodes(
    folder: Path, size: tuple[int, int], options: dict[str, int]
) -> None:
    backbone = load_backbone(str(folder), **options)  # type: ignore[arg-type]
    encoded = backbone.encode_frames(video(FRAMES, *size))
    told = None if "frame_size" in options else size
    cost = model_cost(str(folder), video=told, loading=options, frames=FRAMES)  # type: ignore[arg-type]
    assert tokens(cost) == encoded.shape[1] == cost.grid[0] * cost.grid[1]
    assert cost.grid == backbone.grid_of(FRAMES, *size)
    assert cost.size == backbone.size_of(cost.grid)
    assert cost.video_size == told
    assert not any(line.startswith("frames:") for line in cost.said)


def test_more_frames_of_qwen3_are_smaller_ones(folders: dict[str, Path]) -> None:
    few, many = (model_cost(str(folders["qwen3_vl"]), video=(720, 1280), frames=frames) for frames in (8, 32))
    assert tokens(many) < tokens(few)


def test_a_size_that_nobody_gave_is_assumed_and_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assumed, given = model_cost(str(folder)), model_cost(str(folder), video=(720, 1280))
    assert assumed.video_size == (720, 1280)
    assert (
        "frames: a video of 720x1280 pixels (height x width) is assumed: give --video_size [height,width] for another"
        in assumed.said
    )
    assert replace(assumed, said=given.said) == given
    assert main(["estimate", "--model", str(folder)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    height, width = given.size
    assert f"64 frames of a video of 720x1280 in patches of 2, at {height}x{width} pixels (height x width)" in out


def test_a_router_s_frames_have_the_shape_that_it_learned_on(folder: Path, tmp_path: Path) -> None:
    squared = export(folder, tmp_path / "squared")
    assert model_cost(squared).size == (448, 448)
    assert model_cost(squared).video_size is None
    assert model_cost(squared, video=(90, 160), loading={"max_pixels": 20_000}).grid == (
        load_backbone(str(folder), max_pixels=20_000).grid_of(FRAMES, 90, 160)
    )
    limited = export(folder, tmp_path / "limited", shape=FrameShape("own", max_pixels=20_000))
    backbone = load_backbone(str(folder), shape=FrameShape("own", max_pixels=20_000))
    assert model_cost(limited, video=(720, 1280)).grid == backbone.grid_of(FRAMES, 720, 1280)
    assert model_cost(limited, loading={"frame_size": 224}).size == (224, 224)


def test_an_answer_s_cost_is_that_of_its_video(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write_oblong_video(tmp_path / "clip.mp4", 168, 84)
    asked = [
        "answer",
        "--estimate",
        "--json",
        "--base",
        str(folder),
        "--system",
        "dense",
        "--question",
        "Why?",
        "--frames",
        "8",
    ]

    def printed(*more: str) -> dict[str, Any]:
        assert main([*asked, *more]) == 0
        told: dict[str, Any] = json.loads(capsys.readouterr().out)
        return told

    backbone = load_backbone(str(folder))
    cost = printed("--video", str(clip))
    assert (cost["video_size"], tuple(cost["grid"])) == ([168, 84], backbone.grid_of(8, 168, 84))
    assert not any(line.startswith("frames:") for line in cost["said"])
    assert printed("--video", str(clip), "--frame-size", "224")["size"] == [224, 224]
    limited = printed("--video", str(clip), "--max-pixels", "9000")
    assert limited["size"][0] * limited["size"][1] <= 9000
    for unread in ("nowhere.mp4", __file__):
        cost = printed("--video", unread)
        assert cost["video_size"] == [720, 1280]
        assert any("is assumed, as none could be read (" in line and unread in line for line in cost["said"])


def test_a_prompt_s_tokens_are_those_of_how_the_base_is_asked(folder: Path, tmp_path: Path) -> None:
    said = "Answer with one word."
    plain, told = (answer_cost(str(folder), "Why?", loading=one) for one in ({}, {"system_prompt": said}))  # type: ignore[arg-type]
    system = len(f"system\n{said}\n") + 2  # one token a byte, and the marks of a message
    assert told.workload.text_tokens == plain.workload.text_tokens + system
    recorded = export(folder, tmp_path / "router", prompt=PromptOptions(system_prompt=said))
    assert answer_cost(recorded, "Why?").workload.text_tokens == told.workload.text_tokens


def test_a_label_s_tokens_are_those_of_the_label_asked_for(tmp_path: Path) -> None:
    base = write_tiny(tmp_path / "base", "internvl")  # one token a byte
    recorded = export(base, tmp_path / "router", prompt=PromptOptions(frame_label="Frame1"))

    def label(model: Path | str, **loading: Any) -> int | None:
        return answer_cost(str(model), "Why?", loading=loading).workload.label_tokens  # type: ignore[arg-type]

    assert (
        label(base)
        == label(base, frame_label="Frame-1")
        == label(recorded, frame_label="Frame-1")
        == len("Frame-12: ") + 3
    )
    assert label(base, frame_label="Frame1") == label(recorded) == len("Frame12: ") + 3


@pytest.mark.parametrize(
    ("options", "size", "told"),
    [
        ({"frame_size": 448}, (720, 1280), "video_size: .* is shown squares"),
        ({"frame_size": 100}, None, "frames of 100 pixels: this 'qwen"),
        ({"frame_size": 448, "max_pixels": 9000}, (720, 1280), "give one or the other"),
        ({"frame_label": "Frame1"}, (720, 1280), "has no option frame_label"),
        ({}, (10, 3000), "too narrow"),
        ({}, (-1, 3000), r"video_size is \[-1, 3000\]: give \[height,width\]"),
    ],
)
def test_frames_that_cannot_be_shown_are_refused(folder: Path, options: Any, size: tuple[int, int], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        model_cost(str(folder), video=size, loading=options)


def test_damaged_limits_are_refused_with_their_file(folder: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "config.json").write_bytes((folder / "config.json").read_bytes())
    (damaged / "preprocessor_config.json").write_text("{")
    with pytest.raises(ValueError, match=r"preprocessor_config\.json"):
        model_cost(str(damaged))
