"""Qwen-VL at its own aspect ratio: sizes as its processor's, the class itself on every grid, and systems that follow the video."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.routers.processor_sizes import processor_size
from tests.routers.tiny_backbones import all_kept, some_kept, video, write_tiny
from tests.video.oblong import write_oblong_video
from videorouter.routers.__main__ import main
from videorouter.routers.answering.frame_pictures import frame_pictures
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.answering.watched_video import grid_of_file
from videorouter.routers.backbones.frame_shape import FrameShape
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.backbones.own_aspect import PixelLimits
from videorouter.routers.backbones.sources import LazyTokens
from videorouter.routers.backbones.temporal import merged_seconds
from videorouter.routers.cost.picture_families import QwenPictures
from videorouter.routers.cost.picture_names import picture_cost_of
from videorouter.routers.systems.base import CompressedVideo
from videorouter.routers.systems.query import Query
from videorouter.routers.systems.registry import SYSTEMS, BaseOnly, build_system

FAMILIES = ("qwen2_5_vl", "qwen3_vl")
PUBLISHED = {
    "qwen2_5_vl": {"min_pixels": 3136, "max_pixels": 12_845_056},
    "qwen3_vl": {"size": {"shortest_edge": 4096, "longest_edge": 25_165_824}},
}
SECONDS = (0.0, 1.7, 3.4, 5.1, 6.8, 8.5)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {family: write_tiny(tmp_path_factory.mktemp(family) / "model", family) for family in FAMILIES}
    for family, folder in made.items():
        name = "video_preprocessor_config.json" if family == "qwen3_vl" else "preprocessor_config.json"
        (folder / name).write_text(json.dumps(PUBLISHED[family]))
    return made


@pytest.fixture(scope="module", params=FAMILIES)
def backbone(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Any:
    return load_backbone(str(folders[request.param]), max_pixels=400_000)


def limits(family: str, **more: Any) -> PixelLimits:
    factor = 28 if family == "qwen2_5_vl" else 32
    usual = {"qwen2_5_vl": (3136, 768 * 28 * 28, 128_000), "qwen3_vl": (4096, 25_165_824, 768)}[family]
    shortest, longest, tokens = usual
    return PixelLimits(factor, shortest, longest, family == "qwen3_vl", tokens, **more)


@pytest.mark.parametrize("family", FAMILIES)
@given(st.integers(2, 768), st.integers(8, 3000), st.integers(8, 3000))
def test_sizes_are_those_of_the_video_processor(family: str, frames: int, height: int, width: int) -> None:
    assume(max(height, width) <= 190 * min(height, width))
    own = limits(family)
    expected = processor_size(
        family, frames, height, width,
        shortest=own.shortest, longest=own.longest, tokens=own.video_tokens, factor=own.factor,
    )  # fmt: skip
    if expected is None:
        pytest.skip("these transformers have no cap_pixels_per_frame")
    assert own.size(frames, height, width) == expected


@pytest.mark.parametrize(
    ("family", "frames", "shape", "size"),
    [
        ("qwen2_5_vl", 64, (1080, 1920), (560, 1008)),
        ("qwen2_5_vl", 64, (360, 640), (364, 644)),
        ("qwen2_5_vl", 768, (1080, 1920), (336, 644)),
        ("qwen3_vl", 32, (1080, 1920), (640, 1152)),
        ("qwen3_vl", 64, (1920, 1080), (832, 448)),
        ("qwen3_vl", 1, (360, 640), (352, 640)),
    ],
)
def test_published_checkpoints_show_videos_in_these_sizes(
    family: str, frames: int, shape: tuple[int, int], size: tuple[int, int], folders: dict[str, Path]
) -> None:
    backbone = load_backbone(str(folders[family]), early_layers=1)
    assert backbone.size_of(backbone.grid_of(frames, *shape)) == size
    assert backbone.grid is None
    assert backbone.frame_size is None
    with pytest.raises(ValueError, match="ask `grid_of`"):
        _ = backbone.tokens_per_frame


@pytest.mark.parametrize("family", FAMILIES)
@given(st.integers(1, 64), st.integers(20, 2000), st.integers(20, 2000), st.integers(4, 500))
def test_asked_limits_are_of_a_frame_and_settle_at_once(
    family: str, frames: int, height: int, width: int, tokens: int
) -> None:
    assume(max(height, width) <= tokens * min(height, width) / 2)
    own = limits(family, shape=FrameShape("own", max_pixels=tokens * 1024))
    size = own.size(frames, height, width)
    assert size[0] * size[1] <= tokens * 1024
    assert size[0] % own.factor == size[1] % own.factor == 0
    if tokens >= 16:  # closer to the checkpoint's minimum there may be no size that is within both
        assert own.size(frames, *size) == size


def own_inputs(backbone: Any, frames: np.ndarray, seconds: Any, text: str) -> dict[str, Any]:
    """What the class's processor hands to the class, written out."""
    patches, grid = backbone._patches(frames)
    depth, tokens = int(grid[0, 0]), int(grid[0, 1:].prod()) // 4
    pads = "<|video_pad|>"
    content = f"<|vision_start|>{pads * depth * tokens}<|vision_end|>{text}"
    if backbone.limits.of_video:
        shown = [f"<{second:.1f} seconds><|vision_start|>{pads * tokens}<|vision_end|>" for second in seconds]
        content = "".join(shown) + text
    prompt = backbone.tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    ids = backbone.tokenizer(prompt, add_special_tokens=False, return_tensors="pt").input_ids
    spacing = {} if backbone.limits.of_video else {"second_per_grid_ts": torch.tensor([seconds[1] - seconds[0]])}
    return {
        "input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values_videos": patches,
        "video_grid_thw": grid, "mm_token_type_ids": 2 * (ids == backbone.video_token_id).int(), **spacing,
    }  # fmt: skip


@torch.no_grad()
@pytest.mark.parametrize("shape", [(90, 160), (448, 252), (308, 532), (33, 150)])
def test_an_uncompressed_oblong_video_is_the_class_itself(backbone: Any, shape: tuple[int, int]) -> None:
    frames, shown = video(6, *shape), merged_seconds(SECONDS, 2)
    grid = backbone.grid_of(*frames.shape[:3])
    assert grid[0] != grid[1]
    tokens = backbone.encode_frames(frames)
    assert tokens.shape == (3, grid[0] * grid[1], backbone.channels)
    prompt = backbone.embed_prompt(replace(all_kept(tokens), grid=grid), "What is shown?", shown)
    given = own_inputs(backbone, frames, shown, "What is shown?")
    own = backbone.model(**given).logits[0, -1]
    torch.testing.assert_close(backbone.next_token_logits(prompt), own, atol=1e-4, rtol=1e-4)
    made = backbone.model.generate(**given, max_new_tokens=4, do_sample=False)[0, given["input_ids"].shape[1] :]
    assert backbone.generate(prompt, 4).text == backbone.tokenizer.decode(made, skip_special_tokens=True).strip()


def test_the_grid_of_one_video_is_not_taken_for_that_of_the_next(backbone: Any) -> None:
    """Two videos of as many tokens: rows and columns change places, and positions with them."""
    tokens = torch.randn(3, 12, backbone.channels)
    flat, upright = (
        backbone.embed_prompt(replace(all_kept(tokens), grid=grid), "Why?", (0.5, 2.5, 4.5))
        for grid in ((3, 4), (4, 3))
    )
    assert not torch.equal(flat.position_ids, upright.position_ids)
    again = backbone.embed_prompt(replace(all_kept(tokens), grid=(3, 4)), "Why?", (0.5, 2.5, 4.5))
    assert torch.equal(again.position_ids, flat.position_ids)
    places = torch.tensor([0, 7, 13, 35])
    kept = backbone.embed_prompt(replace(some_kept(tokens, places), grid=(3, 4)), "Why?", (0.5, 2.5, 4.5))
    assert torch.equal(kept.position_ids[..., kept.visual], flat.position_ids[..., flat.visual[places]])


def test_kept_tokens_without_a_grid_are_refused_with_a_remedy(backbone: Any) -> None:
    with pytest.raises(ValueError, match=r"do not say on which grid .*CompressedVideo\(\.\.\., grid="):
        backbone.embed_prompt(all_kept(torch.randn(2, 6, backbone.channels)), "Why?", (0.0, 1.0))


@pytest.mark.parametrize("family", FAMILIES)
def test_frames_encoded_on_demand_are_those_of_the_whole_video(family: str, folders: dict[str, Path]) -> None:
    """Qwen3-VL's limits are of all frames together: a part of them alone would be larger."""
    (folders[family].parent / "small").mkdir(exist_ok=True)
    backbone = load_backbone(str(folders[family]))
    backbone.limits = replace(backbone.limits, longest=8 * 20_000 if family == "qwen3_vl" else 20_000)  # type: ignore[attr-defined]
    frames = video(8, 360, 640)
    whole, lazy = backbone.encode_frames(frames), LazyTokens(backbone, frames)
    torch.testing.assert_close(lazy[[1, 3]], whole[[1, 3]], atol=1e-5, rtol=1e-5)


SHAPES = {"flat": (112, 168), "upright": (168, 84), "odd": (140, 196)}


@pytest.fixture(scope="module", params=SHAPES)
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_oblong_video(tmp_path_factory.mktemp("clip") / "clip.mp4", *SHAPES[request.param])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_system_answers_about_videos_of_any_shape(family: str, clip: Path, folders: dict[str, Path]) -> None:
    """Those that need a router or an encoder are held to it in `test_every_system`."""
    router = VideoRouter.from_base(str(folders[family]), frames=8, min_pixels=784)
    watched = router.watch(clip)
    rows, columns = watched.grid
    assert rows != columns
    assert grid_of_file(router.backbone, clip, 8) == watched.grid
    assert watched.sampled.frames.shape[1:3] == router.backbone.size_of(watched.grid)
    assert watched.all_tokens.shape[:2] == (4, rows * columns)
    assert router.watch(watched.sampled).grid == watched.grid
    tried = [name for name in SYSTEMS if "videorouter" not in name and name not in ("oracle", "relevance_pooling")]
    for name in tried:
        answer = router.answer(watched, "Why?", system=name, budget=2 * rows * columns, max_new_tokens=2)
        assert 0 < answer.tokens <= (4 if name == "dense" else 2) * rows * columns, name
        plan = answer.plan
        assert (plan.height, plan.width, plan.merged) == (*router.backbone.size_of(watched.grid), 2)
        assert plan.tokens == answer.tokens, name
        for picture in frame_pictures(plan, QwenPictures(min_pixels=784), answer.tokens):
            assert picture.place % 2 == 0
            assert picture.tokens <= plan.frames[picture.place].tokens, name
            assert abs(picture.width * rows - picture.height * columns) <= max(rows, columns), name


def test_a_system_that_says_no_grid_still_answers(clip: Path, folders: dict[str, Path]) -> None:
    """One of an installed package, which keeps tokens and knows nothing of grids."""

    class First:
        name, budgeted, kind, spends_cap = "first", True, "compared", True

        def compress(self, video_tokens: torch.Tensor, query: Query, budget: int) -> CompressedVideo:
            return some_kept(video_tokens, torch.arange(budget))

    router = VideoRouter.from_base(str(folders["qwen2_5_vl"]), frames=4)
    router.system = lambda *_, **__: First()  # type: ignore[method-assign,assignment]
    assert router.answer(clip, "Why?", system="first", budget=5, max_new_tokens=1).tokens == 5


def test_squares_stay_an_option_and_are_what_they_were(folders: dict[str, Path]) -> None:
    square = load_backbone(str(folders["qwen2_5_vl"]), frame_size=112)
    assert (square.grid, square.frame_size, square.shape) == ((4, 4), 112, FrameShape("square", 112))
    assert square.grid_of(9, 90, 160) == (4, 4)
    usual = load_backbone(str(folders["qwen2_5_vl"]), shape=FrameShape())
    assert (usual.grid, usual.frame_size) == ((16, 16), 448)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"frame_size": 112, "max_pixels": 9000}, "give one or the other"),
        ({"min_pixels": 9000, "max_pixels": 8000}, "min_pixels 9000 is above max_pixels 8000"),
        ({"max_pixels": 0}, "max_pixels is 0: give 1 or more"),
        ({"frame_size": 100}, "multiple of 28"),
    ],
)
def test_pixels_that_mean_nothing_are_refused(options: dict[str, int], told: str, folders: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match=told):
        load_backbone(str(folders["qwen2_5_vl"]), **options)  # type: ignore[arg-type]


def test_models_that_see_squares_refuse_pixels(base: Path) -> None:
    for name in ("min_pixels", "max_pixels"):
        with pytest.raises(ValueError, match=f"no option {name}"):
            load_backbone(str(base), **{name: 9000})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no option aspect 'own'"):
        load_backbone(str(base), shape=FrameShape("own"))


def test_frames_too_narrow_to_be_seen_are_refused(backbone: Any) -> None:
    with pytest.raises(ValueError, match=r"10x3000 .*too narrow"):
        backbone.grid_of(8, 3000, 10)


def test_the_command_line_takes_pixels(
    clip: Path, folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [
        "answer",
        "--base",
        str(folders["qwen2_5_vl"]),
        "--system",
        "dense",
        "--video",
        str(clip),
        "--question",
        "Why?",
    ]
    asked += ["--frames", "4", "--max-new-tokens", "1", "--plan-out", str(tmp_path / "plan.jsonl")]
    assert main([*asked, "--max-pixels", "9408", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    rows = [json.loads(line) for line in (tmp_path / "plan.jsonl").read_text().splitlines()]
    row, cost = rows[0], picture_cost_of(str(folders["qwen2_5_vl"]))
    assert row["height"] * row["width"] <= 9408
    assert told["tokens_by_frame"] == [row["height"] * row["width"] // 784] * 2
    assert [picture["place"] for picture in row["pictures"]] == [0, 2]  # one for each merged pair
    for picture in row["pictures"]:
        assert (picture["height"], picture["width"]) == (row["height"], row["width"])
        assert picture["tokens"] == cost.tokens(row["height"], row["width"]) == told["tokens_by_frame"][0]
    assert main([*asked, "--frame-size", "112"]) == 0
    assert main([*asked, "--frame-size", "112", "--max-pixels", "9408"]) == 1


def test_a_base_alone_needs_the_grid_only_where_it_follows_the_video(backbone: Any) -> None:
    system = build_system("uniform_pooling", BaseOnly(backbone))
    with pytest.raises(ValueError, match=r"say their grid as `Query\(\.\.\., grid=\.\.\.\)`"):
        system.compress(torch.randn(2, 12, backbone.channels), Query("Why?"), 12)
