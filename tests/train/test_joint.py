"""Stage 3 learns answers from the prompts that inference feeds; what it trained is exported, and answers the same again."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import InternVLForConditionalGeneration

from tests.train.ranks import command, stages
from videorouter.miniature.pretraining.model import write_untrained_router
from videorouter.routers.__main__ import main as routers_main
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.backbones.language_weights import write_language
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.checkpoints.base_identity import weights_hash
from videorouter.routers.checkpoints.trained_file import STATE, read_record, read_tensors
from videorouter.routers.systems.query import Query, question_text
from videorouter.shards.reader import ShardDataset
from videorouter.train.__main__ import main
from videorouter.train.data import AnswerData
from videorouter.train.modules import JointModule


def trained(mode: str, base: Path, router: Path, flr: Path, qtr: Path, out: Path, *options: str) -> Path:
    stage = stages(base, router, flr, qtr)["joint"]
    assert (
        main([*command(stage, out), "--model.init_args.language_model", mode, "--trainer.max_epochs", "1", *options])
        == 0
    )
    return out / "checkpoints" / "last.ckpt"


@pytest.fixture(scope="module", params=["full", pytest.param("lora", marks=pytest.mark.slow)])
def checkpoint(
    request: pytest.FixtureRequest,
    base: Path,
    router: Path,
    flr: Path,
    qtr: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    return trained(request.param, base, router, flr, qtr, tmp_path_factory.mktemp("joint") / request.param)


def logits_of(router: VideoRouter, flr: Path) -> torch.Tensor:
    """Of the first answer token after a routed prompt of the first sample."""
    sample = ShardDataset(flr)[0]
    backbone: Any = router.backbone
    query = Query(sample.questions[0].question.question, seconds=tuple(sample.video.seconds))
    with torch.no_grad():
        kept = router.system().compress(backbone.encode_frames(sample.frames()), query, router.config.budget)
        prompt = backbone.embed_prompt(kept, question_text(query), query.seconds)
        states = backbone.model.model.language_model(inputs_embeds=prompt.embeddings).last_hidden_state
        return backbone.model.lm_head(states[0, -1])


def test_an_exported_stage_3_holds_what_was_trained_and_answers_with_it(
    checkpoint: Path, base: Path, router: Path, flr: Path, tmp_path: Path
) -> None:
    before = weights_hash(base)
    assert routers_main(["export", "--checkpoint", str(checkpoint), "--out", str(tmp_path / "router")]) == 0
    state = read_tensors(checkpoint, STATE)
    heads = load_file(tmp_path / "router" / "model.safetensors")
    assert all(torch.equal(value, state[name]) for name, value in heads.items())
    folder = tmp_path / "router" / ("adapter" if checkpoint.parts[-3] == "lora" else "language_model")
    language = {name: value for path in folder.glob("*.safetensors") for name, value in load_file(path).items()}
    wanted = {name.removeprefix("language."): value for name, value in state.items() if name.startswith("language.")}
    assert {name.removeprefix("base_model.model.") for name in language} == set(wanted)
    assert all(torch.equal(value, wanted[name.removeprefix("base_model.model.")]) for name, value in language.items())
    loaded = VideoRouter.from_pretrained(tmp_path / "router")
    plain = VideoRouter.from_pretrained(router)
    assert not torch.allclose(logits_of(loaded, flr), logits_of(plain, flr))
    loaded.save_pretrained(tmp_path / "again")
    again = VideoRouter.from_pretrained(tmp_path / "again")
    torch.testing.assert_close(logits_of(again, flr), logits_of(loaded, flr), atol=0, rtol=0)
    assert weights_hash(base) == before
    if folder.name == "adapter":
        merged = merged_by_peft(base, folder)
        ours: Any = loaded.backbone
        for name, value in ours.model.named_parameters():
            torch.testing.assert_close(value, merged[name], msg=name)


def merged_by_peft(base: Path, adapter: Path) -> dict[str, Any]:
    """The parameters that peft itself makes of base and adapter."""
    from peft import PeftModel
    from transformers import InternVLForConditionalGeneration

    plain = InternVLForConditionalGeneration.from_pretrained(base)
    whole: Any = PeftModel.from_pretrained(plain, str(adapter)).merge_and_unload()
    return dict(whole.named_parameters())


@pytest.mark.parametrize("head", ["own", pytest.param("absent", marks=pytest.mark.slow)])
def test_stage_3_full_trains_a_head_of_its_own_and_keeps_a_tied_one_tied(
    head: str, base: Path, flr: Path, qtr: Path, tmp_path: Path
) -> None:
    """Over a base as published: its config says nothing of tying; from training over export and merging to the plain class."""
    there = published(base, tmp_path / "base", head)
    routers = write_untrained_router(tmp_path / "router", there)
    checkpoint = trained("full", there, routers, flr, qtr, tmp_path / "full", "--trainer.max_steps", "1")
    learned = read_tensors(checkpoint, f"{STATE}language.")
    assert ("lm_head.weight" in learned) is (head == "own")
    assert routers_main(["export", "--checkpoint", str(checkpoint), "--out", str(tmp_path / "final")]) == 0
    before: Any = load_backbone(str(there))
    after: Any = VideoRouter.from_pretrained(tmp_path / "final").backbone
    assert (after.model.lm_head.weight is after.model.get_input_embeddings().weight) is (head == "absent")
    assert torch.equal(after.model.lm_head.weight, before.model.lm_head.weight) is (head == "absent")
    assert torch.equal(after.model.get_input_embeddings().weight, before.model.get_input_embeddings().weight)
    merged = ["merge", str(tmp_path / "final"), "--out", str(tmp_path / "merged"), "--dtype", "float32"]
    assert routers_main(merged) == 0
    plain = InternVLForConditionalGeneration.from_pretrained(tmp_path / "merged")
    ids = torch.arange(20)[None]
    with torch.no_grad():
        torch.testing.assert_close(plain(input_ids=ids).logits, after.model(input_ids=ids).logits, atol=1e-4, rtol=1e-4)


def published(base: Path, folder: Path, head: str) -> Path:
    """The same base without a word on tying in its config, and where its `head` is absent without one."""
    shutil.copytree(base, folder)
    config = json.loads((folder / "config.json").read_text())
    for part in (config, config["text_config"]):
        part.pop("tie_word_embeddings", None)
    (folder / "config.json").write_text(json.dumps(config))
    tensors = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in tensors.items() if head == "own" or "lm_head" not in name}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_a_large_language_model_is_written_in_shards_and_read_back(
    base: Path, router: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("videorouter.routers.backbones.language_weights._SHARD", 500_000)
    module = JointModule(str(router), language_model="full")
    tensors = {name: torch.randn_like(value) for name, value in module.language.tensors().items()}
    write_language(tmp_path, module.language.record(), tensors, str(base))
    assert len(list((tmp_path / "language_model").glob("*.safetensors"))) > 1
    backbone: Any = VideoRouter.from_pretrained(router).backbone
    backbone.use_language_of(tmp_path)
    held = dict(backbone.model.named_parameters())
    assert all(torch.equal(held[name], value) for name, value in tensors.items())


def test_the_loss_is_that_of_inference_s_own_prompt(router: Path, flr: Path, qtr: Path) -> None:
    """Training's routed prompt is inference's: the same system, frames and text."""
    data = AnswerData(str(flr), str(qtr))
    data.setup("fit")
    item = next(data.train_dataloader().pass_over()).items[0]
    module, plain = JointModule(str(router), gradient_checkpointing=False), VideoRouter.from_pretrained(router)
    one, backbone = item.questions[0], plain.backbone
    video = module._encoded(item)
    seconds = video.seconds
    loss, first = module._answer(video, one)
    query = Query(one.question, one.options, seconds=seconds)
    kept = plain.system().compress(backbone.encode_frames(item.frames()), query, plain.config.budget)
    prompt = backbone.embed_prompt(kept, question_text(query), seconds)
    model: Any = backbone.model  # type: ignore[attr-defined]
    with torch.no_grad():
        states = model.model.language_model(inputs_embeds=prompt.embeddings).last_hidden_state
    torch.testing.assert_close(first, model.lm_head(states[0, -1]), atol=1e-4, rtol=1e-4)
    assert float(loss.detach()) >= 0


def test_a_nan_loss_stops_and_says_what_was_asked(
    base: Path, router: Path, flr: Path, qtr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = stages(base, router, flr, qtr)["image_router"]
    every = ("--last.every_n_train_steps", "1", "--last.save_on_train_epoch_end", "false")
    assert main([*command(stage, tmp_path / "out"), *every, "--model.init_args.learning_rate", "1e30"]) == 1
    assert re.search(r"^error: NaN loss at step .*The last checkpoint is sound", capsys.readouterr().err, re.MULTILINE)
    kept = next((tmp_path / "out").glob("diverged-rank-0.json"))
    assert "questions" in kept.read_text()
    assert read_record(tmp_path / "out" / "checkpoints" / "last.ckpt")["steps"] >= 1


def test_uniform_pooling_trains_the_language_model_alone(router: Path) -> None:
    module = JointModule(str(router), routing="uniform")
    assert module.system().name == "uniform_pooling"
    assert not any(name.startswith(("semantic", "image")) for name, _ in module.named_parameters())


@pytest.mark.parametrize("checkpointing", [True, False])
def test_layers_are_computed_again_on_the_way_back_where_that_is_asked_for(
    router: Path, flr: Path, qtr: Path, checkpointing: bool
) -> None:
    data = AnswerData(str(flr), str(qtr), batch_size=1, questions_per_item=1)
    data.setup("fit")
    module, calls = JointModule(str(router), gradient_checkpointing=checkpointing), []
    module.setup("fit")
    attention = module.trained["layers"][1].self_attn  # type: ignore[index]
    attention.register_forward_hook(lambda *_: calls.append(1))
    module._take_heads()
    batch = next(iter(data.train_dataloader()))
    module.losses(batch)["answers"][1].backward()
    assert len(calls) == (2 if checkpointing else 1) * batch.widest


@pytest.mark.slow
def test_its_validation_judges_routers_too_and_calibrates_their_threshold_anew(
    base: Path, router: Path, flr: Path, qtr: Path, tmp_path: Path
) -> None:
    options = ("--trainer.limit_val_batches", "1.0", "--trainer.val_check_interval", "1.0")
    last = trained("lora", base, router, flr, qtr, tmp_path / "out", *options)
    record = read_record(last)["videorouter"]
    names = {
        "val/image_auroc",
        "val/image_threshold",
        "val/semantic_accuracy",
        "val/answer_loss",
        "val/answer_accuracy",
    }
    assert names <= record["metrics"].keys()
    assert record["threshold"] == record["metrics"]["val/image_threshold"] != 0.5
    shown = [json.loads(line) for line in (tmp_path / "out" / "validation-samples.jsonl").read_text().splitlines()]
    assert shown
    assert all(one.keys() == {"step", "question", "answer", "said"} for one in shown)
