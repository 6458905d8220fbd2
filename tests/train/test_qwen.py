"""The stages train on Qwen2.5-VL as they do on InternVL: frames merged in pairs, M-RoPE positions, the same folder at the end."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.routers.tiny_backbones import write_tiny
from tests.train.ranks import command, stages
from videorouter.miniature.pretraining.model import write_untrained_router
from videorouter.routers.__main__ import main as routers_main
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.checkpoints.trained_file import STATE, read_tensors
from videorouter.train.__main__ import main
from videorouter.train.data import AnswerData
from videorouter.train.modules import JointModule


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("qwen") / "base", "qwen2_5_vl")


@pytest.mark.slow
def test_both_routers_train_export_and_answer(qwen: Path, world: Path, flr: Path, qtr: Path, tmp_path: Path) -> None:
    found = stages(qwen, tmp_path, flr, qtr)
    short = ("--trainer.max_epochs", "1", "--model.init_args.budget", "4096")
    for name in ("image_router", "semantic_router"):
        assert main([*command(found[name], tmp_path / name), *short]) == 0
    files = [str(tmp_path / name / "checkpoints" / "last.ckpt") for name in ("image_router", "semantic_router")]
    assert routers_main(["export", "--checkpoint", *files, "--out", str(tmp_path / "router")]) == 0
    assert torch.count_nonzero(read_tensors(Path(files[0]), STATE)["image.layers.0.weight"])
    router = VideoRouter.from_pretrained(tmp_path / "router")
    answer = router.answer(sorted((world / "videos").iterdir())[0], "Which?", ["K", "T"], max_new_tokens=2, frames=8)
    assert 0 < answer.tokens <= 4096


def test_the_joint_stage_learns_the_language_model(qwen: Path, flr: Path, qtr: Path, tmp_path: Path) -> None:
    router = write_untrained_router(tmp_path / "router", qwen, budget=4096)
    module = JointModule(str(router), language_model="full", gradient_checkpointing=False)
    data = AnswerData(str(flr), str(qtr), batch_size=1, questions_per_item=1)
    data.setup("fit")
    batch = next(data.train_dataloader().pass_over())
    module.setup("fit")
    module._take_heads()
    total: Any = sum(weight * loss for weight, loss in module.losses(batch).values())
    total.backward()
    gradients = [tensor.grad for tensor in module.language.tensors().values()]
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)
    assert float(total.detach()) > 0
