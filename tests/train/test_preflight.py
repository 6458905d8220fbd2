"""What would stop a training is said before it starts, with the remedy; what it would hold is counted without a weight."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig

from tests.train.ranks import BATCHES, stages
from videorouter.routers.cost.parameters import parameters_by_part
from videorouter.train.__main__ import main
from videorouter.train.modules import ImageRouterModule, JointModule, SemanticRouterModule
from videorouter.train.preflight.strategy_memory import early_parameters, head_parameters


@pytest.fixture
def asked(base: Path, router: Path, flr: Path, qtr: Path) -> dict[str, list[str]]:
    found = stages(base, router, flr, qtr)
    return {name: ["--config", f"miniature/{one.config}", *one.options, *BATCHES] for name, one in found.items()}


def check(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[bool, str]:
    """Whether all is sound, and what was said, in one line."""
    code = main(["check", *arguments])
    assert code in (0, 1)
    return code == 0, " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("name", ["image_router", "semantic_router", "joint"])
def test_a_training_that_can_start_is_let_start(
    name: str, asked: dict[str, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound, text = check([*asked[name], "--out", str(tmp_path / "new" / "out"), "--ranks", "2"], capsys)
    assert sound, text
    assert "optimizer steps an epoch on 2 ranks" in text
    assert not (tmp_path / "new").exists(), "nothing is left behind"


def test_what_would_stop_it_is_said_with_the_remedy(
    asked: dict[str, list[str]], base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = asked["image_router"]
    sound, text = check([*plain, "--ranks", "3"], capsys)
    assert not sound
    assert "4 batches a step cannot be shared equally by 3 ranks" in text
    sound, text = check([*plain, "--data.init_args.batches_a_step", "1024", "--ranks", "512"], capsys)
    assert not sound
    assert "use fewer ranks, smaller batches or more data" in text or "accumulate fewer" in text
    sound, text = check([*plain, "--model.init_args.base", str(tmp_path)], capsys)
    assert not sound
    assert "holds no safetensors weights: give the folder of a transformers checkpoint" in text
    foreign = shutil.copytree(base, tmp_path / "foreign")
    config = json.loads((foreign / "config.json").read_text())
    (foreign / "config.json").write_text(json.dumps({**config, "image_token_id": 100}))
    sound, text = check([*plain, "--model.init_args.base", str(foreign)], capsys)
    assert not sound
    assert "they belong to different models; fetch tokenizer files and weights of one revision" in text
    sound, text = check([*plain, "--data.init_args.shards", str(tmp_path)], capsys)
    assert not sound
    assert "build them with" in text
    (tmp_path / "last.ckpt").write_bytes(b"pickled")
    sound, text = check([*plain, "--resume", str(tmp_path / "last.ckpt")], capsys)
    assert not sound
    assert "was not written by `videorouter train fit`" in text
    sound, text = check([*plain, "--out", "/proc/nothing"], capsys)
    assert not sound


def test_routers_load_what_they_read_and_no_more(base: Path) -> None:
    config = AutoConfig.from_pretrained(base)
    width = config.get_text_config().hidden_size
    made: tuple[Any, Any] = (
        ImageRouterModule(str(base), shadow_layers=2),
        SemanticRouterModule(str(base), shadow_layers=2),
    )
    for module, shape in zip(made, ((2, 1), (1, 2)), strict=True):
        backbone: Any = module.backbone
        assert sum(parameter.numel() for parameter in backbone.model.parameters()) == early_parameters(config, 2)
        head = sum(parameter.numel() for parameter in module.head.parameters())
        assert head == head_parameters(width, module.hidden, *shape)


def test_at_8b_geometry_stage_1_holds_a_fraction_of_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    """InternVL3-8B on the meta device: vision, projector, embeddings, 4 of 28 layers and a head."""
    from transformers import InternVLConfig

    text = {
        "model_type": "qwen2", "hidden_size": 3584, "num_hidden_layers": 28, "num_attention_heads": 28,
        "num_key_value_heads": 4, "intermediate_size": 18944, "vocab_size": 151674,
    }  # fmt: skip
    config = InternVLConfig(text_config=text, vision_config={"attention_bias": True}, tie_word_embeddings=False)
    parts = parameters_by_part(config)
    resident = early_parameters(config, 4) + head_parameters(3584, 1024, 2, 1)
    with capsys.disabled():
        print(f"\nstage 1 at 8B: {resident / 1e9:.3f} of {sum(parts.values()) / 1e9:.3f} billion parameters resident")
    layer = parts["layers"] // 28
    allowed = parts["vision"] + parts["projector"] + parts["embeddings"] + 4 * layer + 2 * 3584 * 1024 + 2 * 1024 + 1
    assert resident <= allowed
    assert resident < 0.25 * sum(parts.values())


def of_8b(folder: Path, router: Path) -> Path:
    """A router folder whose base is InternVL3-8B's config, without weights."""
    from transformers import InternVLConfig

    text = {
        "model_type": "qwen2", "hidden_size": 3584, "num_hidden_layers": 28, "num_attention_heads": 28,
        "num_key_value_heads": 4, "intermediate_size": 18944, "vocab_size": 151674,
    }  # fmt: skip
    config = InternVLConfig(text_config=text, vision_config={"attention_bias": True}, tie_word_embeddings=False)
    config.dtype = "bfloat16"
    config.save_pretrained(folder / "base")
    shutil.copytree(router, folder / "router")
    recorded = json.loads((router / "config.json").read_text())
    recorded["base"]["path"], recorded["budget"] = str(folder / "base"), 12_288
    recorded["scales"] = {"global_scale": 2, "relevant_scale": 1, "irrelevant_scale": 4}
    (folder / "router" / "config.json").write_text(json.dumps(recorded))
    return folder / "router"


def test_what_8b_needs_is_told_on_a_machine_without_gpus(
    flr: Path, qtr: Path, router: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole language model: what ddp keeps is more than 80 GB, what 8 ranks share is less; the disk must hold checkpoints."""
    joint = ["--config", "train/joint", "--config", "train/gpus_8", "--model.init_args.routers", str(of_8b(tmp_path, router)),
             "--data.init_args.shards", str(flr), "--data.init_args.more_labels", str(qtr), "--out", str(tmp_path / "out"),
             "--data.init_args.batches_a_step", "8", "--data.init_args.questions_per_item", "1",
             "--data.init_args.batch_size", "1", "--ranks", "8", "--gpu-memory", "80"]  # fmt: skip
    sound, text = check([*joint, "--trainer.strategy", "ddp"], capsys)
    assert not sound
    assert "masters and moments 85.0" in text
    assert "of 80 GB: take deepspeed_2 or deepspeed_3" in text
    sound, text = check([*joint, "--trainer.strategy", "deepspeed_2"], capsys)
    assert "ok memory" in text
    for part in ("weights 17.8", "masters and moments 10.6", "buckets 0.8", "activations"):
        assert part in text
    assert "a checkpoint takes 84.96 GB, 2 are kept and one is being written: 254.89 GB" in text
    assert "hours of an H100 at 40% of its bfloat16 peak" in text
    assert "ok devices 8 ranks, on other GPUs than this machine's" in text
    sound, text = check([*joint, "--trainer.strategy", "deepspeed_2", "--checkpoint.save_top_k", "100000"], capsys)
    assert "make room, choose another --out, or keep fewer" in text


@pytest.mark.parametrize("given", [["--ranks", "two"], ["--gpu-memory"], ["--gpu-memory", "-80"], ["--ranks", "0"]])
def test_machines_are_told_in_numbers(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", *given]) == 1
    assert f"{given[0]} takes the" in capsys.readouterr().err


def test_stage_3_trains_all_layers_or_adapters(router: Path) -> None:
    full, lora = (JointModule(str(router), language_model=mode) for mode in ("full", "lora"))
    counted = [sum(t.numel() for t in one.language.tensors().values() if t.requires_grad) for one in (full, lora)]
    assert counted[1] < 0.5 * counted[0]
    frozen = [name for name, tensor in full.backbone.model.named_parameters() if not tensor.requires_grad]
    assert any("vision_tower" in name for name in frozen)
    assert not any("language_model.layers" in name for name in frozen)
