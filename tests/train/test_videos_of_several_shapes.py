"""Shards of videos of several shapes train Qwen-VL's routers, and an export says how they saw frames; squares are served square."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.routers.tiny_backbones import write_tiny
from tests.train.ranks import command, stages
from tests.video.oblong import write_oblong_video
from videorouter.data_builders.__main__ import main as build
from videorouter.miniature.pretraining.model import write_untrained_router
from videorouter.routers.__main__ import main as routers_main
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.backbones.frame_shape import FrameShape
from videorouter.routers.checkpoints.router_folder import read_config
from videorouter.shards.reader import ShardDataset
from videorouter.train.__main__ import main
from videorouter.train.data import AnswerData, FrameRelevanceData
from videorouter.train.modules import ImageRouterModule, JointModule

SHAPES = {"a": (90, 160), "b": (160, 90), "c": (120, 120), "d": (100, 180)}
OWN = FrameShape("own", max_pixels=112 * 112)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("qwen") / "base", "qwen2_5_vl")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for name, shape in SHAPES.items():
        write_oblong_video(folder / f"{name}.mp4", *shape)
    return folder


@pytest.fixture(scope="module")
def shards(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three videos to learn from and one to validate on, of four shapes."""
    out = tmp_path_factory.mktemp("shards")
    rows = [
        {
            "id": f"{name}{number}", "video": f"{name}.mp4", "question": f"Which {name}{number}?", "options": ["x", "y"],
            "answer": "x", "task_type": "t", "evidence": [[0.0, 0.8]], "source": "test", "split": "val" if name == "d" else "train",
        }
        for name in SHAPES
        for number in range(2)
    ]  # fmt: skip
    (out / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = ["flr", "spans", "--questions", str(out / "questions.jsonl"), "--source", "questions_jsonl"]
    asked += ["--videos", str(videos), "--frames", "8", "--frame_size", "112", "--aspect", "own"]
    assert build([*asked, "--out", str(out / "own")]) == 0
    return out / "own"


def test_shards_hold_each_video_in_its_own_size(shards: Path) -> None:
    samples = {sample.video.uri: sample for sample in ShardDataset(shards)}
    sizes = {name: sample.frames().shape[1:3] for name, sample in samples.items()}
    assert sizes == {"a.mp4": (84, 140), "b.mp4": (140, 84), "c.mp4": (112, 112), "d.mp4": (56, 140)}


def test_a_batch_of_several_shapes_trains_and_the_router_is_served_as_it_learned(
    qwen: Path, videos: Path, shards: Path, qtr: Path, tmp_path: Path
) -> None:
    found = stages(qwen, tmp_path, shards, qtr)
    shape = ["--model.init_args.aspect", "own", "--model.init_args.max_pixels", str(112 * 112)]
    short = ["--trainer.max_epochs", "1", "--model.init_args.budget", "4096", "--model.init_args.frames", "8"]
    short += ["--data.init_args.batches_a_step", "1"]
    assert main([*command(found["image_router"], tmp_path / "image_router"), *short, *shape]) == 0
    assert main([*command(found["semantic_router"], tmp_path / "semantic_router"), *short]) == 0
    files = [str(tmp_path / name / "checkpoints" / "last.ckpt") for name in ("image_router", "semantic_router")]
    assert routers_main(["export", "--checkpoint", *files, "--out", str(tmp_path / "router")]) == 0
    assert read_config(tmp_path / "router").shape == OWN
    router = VideoRouter.from_pretrained(tmp_path / "router")
    assert router.backbone.shape == router.config.shape == OWN
    for name in ("a", "b"):
        watched = router.watch(videos / f"{name}.mp4")
        assert watched.grid == ((3, 5) if name == "a" else (5, 3))
        answer = router.answer(watched, "Which?", policy="fragment", max_new_tokens=1, budget=24)
        assert 0 < answer.tokens <= 24
        screened = router.answer(
            watched, "Which?", policy="fragment", max_new_tokens=1, budget=24, system="videorouter(screen_side=56)"
        )
        assert len(screened.relevance or []) == 4
    squared = VideoRouter.from_pretrained(tmp_path / "router", frame_size=112)
    assert squared.watch(videos / "a.mp4").grid == (4, 4)


def test_one_batch_holds_videos_of_several_shapes(qwen: Path, shards: Path) -> None:
    module = ImageRouterModule(str(qwen), aspect="own", max_pixels=112 * 112)
    data = FrameRelevanceData(str(shards), batch_size=6, questions_per_item=2)
    data.setup("fit")
    batch = next(data.train_dataloader().pass_over())
    assert len({item.frames().shape for item in batch.items}) == 3
    (loss,) = [loss for _, loss in module.losses(batch).values()]
    assert torch.isfinite(loss)
    module._trainer = None


def test_the_joint_stage_feeds_each_video_on_its_own_grid(qwen: Path, shards: Path, tmp_path: Path) -> None:
    router = write_untrained_router(tmp_path / "router", qwen, budget=4096)
    config = json.loads((router / "config.json").read_text())
    config["shape"] = {"aspect": "own", "max_pixels": 112 * 112}
    (router / "config.json").write_text(json.dumps(config))
    module = JointModule(str(router), gradient_checkpointing=False)
    assert module.record()["shape"] == vars(OWN)
    data = AnswerData(str(shards), batch_size=6, questions_per_item=2)
    data.setup("fit")
    module.setup("fit")
    module._take_heads()
    batch = next(data.train_dataloader().pass_over())
    grids = [module._encoded(item).grid for item in batch.items]
    assert sorted(set(grids)) == [(3, 5), (4, 4), (5, 3)]
    total: Any = sum(weight * loss for weight, loss in module.losses(batch).values())
    assert float(total.detach()) > 0


def test_own_aspects_are_not_learned_from_squeezed_frames(qwen: Path, shards: Path, flr: Path) -> None:
    for folder, refused in ((shards, False), (flr, True)):
        data = FrameRelevanceData(str(folder), batch_size=2, questions_per_item=2)
        data.setup("fit")
        data.check_shape(FrameShape())
        if not refused:
            data.check_shape(OWN)
            continue
        with pytest.raises(ValueError, match=r"squeezed to squares.*--aspect own, or train with"):
            data.check_shape(OWN)


def test_a_folder_that_says_no_shape_means_a_square(qwen: Path, tmp_path: Path) -> None:
    router = write_untrained_router(tmp_path / "router", qwen)
    config = json.loads((router / "config.json").read_text())
    del config["shape"]
    (router / "config.json").write_text(json.dumps(config))
    assert read_config(router).shape == FrameShape()
    assert VideoRouter.from_pretrained(router).backbone.grid == (16, 16)


def test_splices_of_several_shapes_are_refused(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["flr", "splice", "--videos", str(videos), "--clips_per_video", "2", "--frames", "8", "--aspect", "own"]
    assert build([*asked, "--out", str(tmp_path / "out")]) != 0
    assert "give --aspect square" in capsys.readouterr().err
