"""Training changes the heads alone, on true features, and its checkpoints export."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from videorouter.routers.__main__ import main as routers_main
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.checkpoints.base_identity import CheckpointError, weights_hash
from videorouter.routers.checkpoints.export import export
from videorouter.routers.checkpoints.trained_file import STATE, read_record, read_tensors
from videorouter.routers.routing.metrics import auroc_within_question
from videorouter.train.__main__ import main
from videorouter.train.data import FrameRelevanceData, QuestionPolicyData
from videorouter.train.modules import ImageRouterModule, SemanticRouterModule
from videorouter.train.modules.trained import warmup_cosine


def fit(name: str, base: Path, shards: Path, out: Path, *options: str) -> Path:
    arguments = ["fit", "--config", f"miniature/{name}", "--model.init_args.base", str(base)]
    arguments += ["--data.init_args.shards", str(shards), "--trainer.max_epochs", "2", "--out", str(out)]
    arguments += ["--trainer.check_val_every_n_epoch", "1", "--trainer.log_every_n_steps", "1"]
    assert main([*arguments, *options]) == 0
    return out / "checkpoints" / "best.ckpt"


@pytest.fixture(scope="module")
def checkpoints(base: Path, flr: Path, qtr: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("training")
    return {
        "image": fit("image_router", base, flr, folder / "image"),
        "semantic": fit("semantic_router", base, qtr, folder / "semantic"),
    }


def load(path: Path) -> dict[str, Any]:
    return read_record(path) | {"state_dict": read_tensors(path, STATE)}


def test_checkpoints_hold_heads_only_and_name_their_base(checkpoints: dict[str, Path], base: Path) -> None:
    for head, path in checkpoints.items():
        content = load(path)
        assert {name.split(".")[0] for name in content["state_dict"]} == {head}
        assert content["videorouter"]["base"]["sha256"] == weights_hash(base)
        assert any(name.startswith(f"val/{head}_") for name in content["videorouter"]["metrics"])


def test_what_a_checkpoint_can_be_the_best_by_is_what_validations_log(checkpoints: dict[str, Path], base: Path) -> None:
    for kind, head in ((ImageRouterModule, "image"), (SemanticRouterModule, "semantic")):
        logged = load(checkpoints[head])["videorouter"]["metrics"]
        assert {*logged, "train/loss"} == {*kind(str(base)).monitored()}


def test_training_moves_the_head_and_gathers_its_moments(checkpoints: dict[str, Path], base: Path) -> None:
    torch.manual_seed(0)
    fresh = ImageRouterModule(str(base)).router.head.state_dict()
    trained = load(checkpoints["image"])["state_dict"]
    for name, value in fresh.items():
        assert not torch.equal(value, trained[f"image.{name}"])


def test_the_base_is_untouched(checkpoints: dict[str, Path], base: Path) -> None:
    assert weights_hash(base) == load(checkpoints["image"])["videorouter"]["base"]["sha256"]


def test_exported_tensors_are_bit_equal_and_load(checkpoints: dict[str, Path], tmp_path: Path, world: Path) -> None:
    paths = [str(checkpoints["image"]), str(checkpoints["semantic"])]
    assert routers_main(["export", "--checkpoint", *paths, "--out", str(tmp_path / "router")]) == 0
    exported = load_file(tmp_path / "router" / "model.safetensors")
    trained = load(checkpoints["image"])["state_dict"] | load(checkpoints["semantic"])["state_dict"]
    assert set(exported) == set(trained)
    assert all(torch.equal(exported[name], trained[name]) for name in trained)
    router = VideoRouter.from_pretrained(tmp_path / "router")
    answer = router.answer(sorted((world / "videos").iterdir())[0], "Which symbol?", ["K", "T"])
    assert 0 < answer.tokens <= router.config.budget == 329
    assert "val/image_auroc" in (tmp_path / "router" / "README.md").read_text()


def test_an_export_without_one_head_says_which_is_missing(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint of the semantic router"):
        export([checkpoints["image"]], tmp_path / "router")
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    with pytest.raises(CheckpointError, match="was not written by"):
        export([tmp_path / "foreign.ckpt"], tmp_path / "router")


def test_resuming_continues_from_the_saved_step_with_the_saved_moments(
    checkpoints: dict[str, Path], base: Path, flr: Path, tmp_path: Path
) -> None:
    last = checkpoints["image"].with_name("last.ckpt")
    options = ["--ckpt_path", str(last), "--trainer.max_epochs", "3"]
    resumed = load(fit("image_router", base, flr, tmp_path, *options).with_name("last.ckpt"))
    before = load(last)
    assert resumed["global_step"] == before["global_step"] * 3 // 2
    for moment in ("image.standardise.mean", "image.standardise.deviation"):
        assert torch.equal(resumed["state_dict"][moment], before["state_dict"][moment])


def test_the_head_without_frames_scores_chance_within_a_question(base: Path, flr: Path, tmp_path: Path) -> None:
    path = fit("image_router", base, flr, tmp_path, "--model.init_args.inputs", "question")
    assert load(path)["videorouter"]["metrics"]["val/image_auroc"] == 0.5


def test_cached_features_are_those_computed_anew(base: Path, flr: Path) -> None:
    data = FrameRelevanceData(str(flr))
    data.setup("fit")
    item = next(data.train_dataloader().pass_over()).items[0]
    caching, plain = ImageRouterModule(str(base), cache_features=True), ImageRouterModule(str(base))
    first = caching._features(item)
    torch.testing.assert_close(caching._features(item), first, atol=0, rtol=0)
    torch.testing.assert_close(plain._features(item), first, atol=1e-5, rtol=1e-5)


def test_global_questions_do_not_train_the_image_router(flr: Path) -> None:
    data = FrameRelevanceData(str(flr))
    data.setup("fit")
    items = [item for batch in data.train_dataloader() for item in batch.items]
    assert items
    assert all(0 < sum(flags) <= 32 for item in items for flags in item.relevant)


def test_shards_without_the_labels_wanted_are_refused(flr: Path) -> None:
    with pytest.raises(ValueError, match="no question with a policy label in split 'train'"):
        QuestionPolicyData(str(flr)).setup("fit")


def test_a_missing_base_ends_as_one_line(flr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["fit", "--config", "miniature/image_router", "--model.init_args.base", str(tmp_path / "nothing")]
    assert main([*arguments, "--data.init_args.shards", str(flr), "--out", str(tmp_path / "out")]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(r"error: .*nothing is not a folder: give the folder of a transformers checkpoint.*", line)


def test_a_tokenizer_of_another_model_is_refused_with_the_remedy(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "base")
    path = tmp_path / "base" / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    last = max(content["model"]["vocab"].values(), default=0)
    content["added_tokens"] += [
        {**content["added_tokens"][0], "id": last + 5000 + number, "content": f"<foreign_{number}>"}
        for number in range(5000)
    ]
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match="they belong to different models; fetch tokenizer files and weights"):
        ImageRouterModule(str(tmp_path / "base"))


def test_the_rate_warms_up_and_decays_to_zero() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = warmup_cosine(optimizer, steps=100, warmup_share=0.1)
    rates = []
    for _ in range(100):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[10] == 1.0
    assert rates[-1] < 0.01


def test_auroc_is_over_the_frames_of_one_question() -> None:
    labels = torch.tensor([True, False, False, False])
    assert auroc_within_question(torch.tensor([0.9, 0.1, 0.2, 0.3]), labels) == 1.0
    assert auroc_within_question(torch.tensor([0.5, 0.5, 0.5, 0.5]), labels) == 0.5
    assert auroc_within_question(torch.rand(4), torch.zeros(4, dtype=torch.bool)) is None
