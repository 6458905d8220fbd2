"""Layers below a router's head learn where that is asked for, travel with the export, and leave the base as it was."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.train.ranks import apart
from tests.train.test_training import fit
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.checkpoints.base_identity import weights_hash
from videorouter.routers.checkpoints.export import export
from videorouter.routers.checkpoints.trained_file import read_record
from videorouter.train.modules import ImageRouterModule

SHORT = (
    "--model.init_args.cache_features", "false", "--model.init_args.moment_batches", "1",
    "--trainer.max_steps", "2", "--trainer.limit_val_batches", "0",
    "--data.init_args.batches_a_step", "1", "--data.init_args.batch_size", "2",
    "--data.init_args.questions_per_item", "1",
)  # fmt: skip
QUESTION = "Which symbol is at the top left corner?"


@pytest.fixture(scope="module")
def router(base: Path, flr: Path, qtr: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An Image Router with adapters and a Semantic Router with layers of its own."""
    folder = tmp_path_factory.mktemp("shadow")
    best = [
        fit("image_router", base, flr, folder / "image", *SHORT, "--model.init_args.shadow", "lora"),
        fit("semantic_router", base, qtr, folder / "semantic", *SHORT[:-2], "--model.init_args.shadow", "full"),
    ]
    return export([path.with_name("last.ckpt") for path in best], folder / "router")


@pytest.mark.slow
def test_the_export_holds_the_layers_that_learned_and_they_moved(router: Path, base: Path) -> None:
    tensors, of_base = load_file(router / "model.safetensors"), load_file(base / "model.safetensors")
    adapters = [name for name in tensors if name.startswith("image.shadow.") and ".lora_B." in name]
    assert len(adapters) == 4 * 7
    assert all(tensors[name].any() for name in adapters)
    whole = {name.removeprefix("semantic.shadow."): tensor for name, tensor in tensors.items() if "c.shadow." in name}
    matrix = "layers.0.self_attn.q_proj.weight"
    same = next(tensor for name, tensor in of_base.items() if name.endswith(matrix) and "vision" not in name)
    assert not torch.equal(whole[matrix], same.float())
    assert torch.allclose(whole[matrix], same.float(), atol=0.05)


@pytest.mark.slow
def test_a_loaded_router_reads_with_them(router: Path, world: Path) -> None:
    loaded = VideoRouter.from_pretrained(router)
    video = loaded.watch(sorted((world / "videos").iterdir())[0])
    scores = loaded.frame_relevance(video.all_tokens, [QUESTION])
    policies = loaded.policy_probabilities(QUESTION)
    for shadow in (loaded.image.shadow, loaded.semantic.shadow):
        for tensor in shadow.parameters():
            if tensor.shape[-1] == 8 or shadow is loaded.semantic.shadow:
                tensor.data.zero_()
    assert not torch.allclose(loaded.frame_relevance(video.all_tokens, [QUESTION]), scores, atol=1e-5)
    assert loaded.policy_probabilities(QUESTION) != policies


@pytest.mark.slow
def test_the_base_is_as_it_was(router: Path, base: Path) -> None:
    record = read_record(router.parent / "image" / "checkpoints" / "last.ckpt")["videorouter"]
    assert record["base"]["sha256"] == weights_hash(base)
    assert record["shadows"] == {"image": {"mode": "lora", "rank": 8}}


def test_features_that_change_are_not_cached(base: Path) -> None:
    with pytest.raises(ValueError, match="goes without cache_features"):
        ImageRouterModule(str(base), shadow="lora", cache_features=True)


def test_only_adapters_and_head_learn(base: Path) -> None:
    module = ImageRouterModule(str(base), shadow="lora", shadow_rank=4)
    learning = {name for name, tensor in module.trained_tensors().items() if tensor.requires_grad}
    assert all(".lora_" in name for name in learning if ".shadow." in name)
    assert sum(tensor.requires_grad for tensor in module.parameters()) == len(learning)


@pytest.mark.slow
def test_compiled_layers_learn_as_others_do(base: Path, qtr: Path, tmp_path: Path) -> None:
    short = (*SHORT[:-2], "--model.init_args.shadow", "lora", "--trainer.max_steps", "1")
    plain = fit("semantic_router", base, qtr, tmp_path / "plain", *short).with_name("last.ckpt")
    compiled = fit(
        "semantic_router", base, qtr, tmp_path / "compiled", *short, "--model.init_args.compile", "aot_eager"
    ).with_name("last.ckpt")
    assert apart(compiled, plain) <= 1e-5
