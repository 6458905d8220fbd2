"""What is served is what was trained: an export asks as its training asked, token for token, at every stage."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.routers.trained_language import with_language
from tests.train.test_joint import trained
from tests.train.test_training import fit
from videorouter.routers.answering.answer import AskedQuestion
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.checkpoints.base_identity import CheckpointError
from videorouter.routers.checkpoints.export import export
from videorouter.routers.checkpoints.trained_file import STATE, read_tensors
from videorouter.routers.routing.allocation import Scales
from videorouter.routers.systems.query import Query
from videorouter.shards.reader import ShardDataset
from videorouter.shards.sample import ShardSample
from videorouter.train.data import AnswerData
from videorouter.train.modules import ImageRouterModule, JointModule, SemanticRouterModule
from videorouter.video.frames import SampledFrames

SCALES = (
    "--model.init_args.scales.global_scale", "8", "--model.init_args.scales.relevant_scale", "2",
    "--model.init_args.scales.irrelevant_scale", "16",
)  # fmt: skip
PROMPT = ("--model.init_args.frame_label", "Frame1", "--model.init_args.system_prompt", "Answer /briefly")
SHORT = (
    "--model.init_args.cache_features", "false", "--model.init_args.moment_batches", "1",
    "--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1", "--trainer.limit_val_batches", "1",
    "--model.init_args.shadow_layers", "2",
    "--model.init_args.shadow", "lora", "--model.init_args.budget", "300",
)  # fmt: skip
FEW = ("--data.init_args.batches_a_step", "1", "--data.init_args.batch_size", "2")


def shown(sample: ShardSample) -> SampledFrames:
    """The very frames that training sees."""
    video = sample.video
    told = video.fps, video.total, video.duration, video.decoder, video.sampler
    return SampledFrames(sample.frames(), video.indices, video.seconds, *told)


def with_weights(module: Any, *checkpoints: Path) -> Any:
    """The training's module with what a checkpoint holds."""
    module.setup("fit")
    for path in checkpoints:
        held = read_tensors(path, STATE)
        for name, tensor in module.trained_tensors().items():
            if name in held:
                tensor.data.copy_(held[name])
    return module.eval()


@pytest.fixture(scope="module")
def stages_1_and_2(base: Path, flr: Path, qtr: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two steps of each, with nothing as it is where nothing is said."""
    folder = tmp_path_factory.mktemp("stages")
    options = (*SHORT, *FEW, *SCALES, *PROMPT)
    questions = ("--data.init_args.questions_per_item", "1", "--model.init_args.router_scale", "4")
    image = fit("image_router", base, flr, folder / "image", *options, *questions)
    semantic = fit("semantic_router", base, qtr, folder / "semantic", *options)
    return image, semantic


def test_an_export_of_stages_1_and_2_is_used_as_its_trainings_said(
    stages_1_and_2: tuple[Path, Path], base: Path, flr: Path, tmp_path: Path
) -> None:
    """Scores, policies, threshold, k, layers below the heads, scales, prompt, frames and sampler."""
    served = VideoRouter.from_pretrained(export(stages_1_and_2, tmp_path / "router"))
    config, sample = served.config, ShardDataset(flr)[0]
    assert config.scales == Scales(8, 2, 16)
    assert (config.prompt.frame_label, config.prompt.system_prompt) == ("Frame1", "Answer /briefly")
    assert (config.shadow_layers, config.image_shadow.mode, config.budget) == (2, "lora", 300)
    assert (config.frames, config.sampler) == (len(sample.video.indices), sample.video.sampler)
    assert (config.routing.router_scale, config.threshold != 0.5) == (4, True)
    question = sample.questions[0].question.question
    below: dict[str, Any] = {"shadow_layers": 2, "shadow": "lora"}
    image = with_weights(ImageRouterModule(str(base), router_scale=4, **below), stages_1_and_2[0])
    semantic = with_weights(SemanticRouterModule(str(base), **below), stages_1_and_2[1])
    watched = served.watch(shown(sample))
    with torch.no_grad():
        tokens = image.backbone.encode_frames(sample.frames())
        features = image.router.features(
            torch.stack([pooled for pooled in _pooled(tokens, image)]), [image.backbone.embed_text(question)]
        )
        trained_scores = image.router.head(features).sigmoid()
        policies = semantic.router([semantic.backbone.embed_text(question)])[0]
    torch.testing.assert_close(served.frame_relevance(watched.all_tokens, [question]), trained_scores)
    assert list(served.policy_probabilities(question).values()) == pytest.approx(policies.tolist(), abs=1e-6)


def _pooled(tokens: torch.Tensor, module: ImageRouterModule) -> torch.Tensor:
    from videorouter.routers.routing.pooling import pool_frames

    grid = module.backbone.grid
    assert grid is not None
    return pool_frames(tokens[..., : module.backbone.hidden_size], module.router_scale, grid)


@pytest.mark.parametrize("mode", ["lora", pytest.param("full", marks=pytest.mark.slow)])
def test_an_export_of_stage_3_asks_the_prompt_that_it_was_trained_with(
    mode: str, base: Path, router: Path, flr: Path, qtr: Path, tmp_path: Path
) -> None:
    """Token for token, and its language model answers the same: scales, threshold, budget and wording of the training."""
    options = (*SCALES, *PROMPT, "--model.init_args.threshold", "0.52", "--model.init_args.budget", "200")
    learning = ("--trainer.max_steps", "2", "--model.init_args.learning_rate", "1e-3")
    few = (*FEW, "--data.init_args.questions_per_item", "1")
    checkpoint = trained(mode, base, router, flr, qtr, tmp_path / "joint", *options, *learning, *few)
    served = VideoRouter.from_pretrained(export([checkpoint], tmp_path / "router"))
    told: dict[str, Any] = {
        "scales": Scales(8, 2, 16), "threshold": 0.52, "budget": 200, "frame_label": "Frame1",
        "system_prompt": "Answer /briefly", "language_model": mode,
    }  # fmt: skip
    module = with_weights(JointModule(str(router), **told), checkpoint)
    module._take_heads()
    data = AnswerData(str(flr), str(qtr))
    data.setup("fit")
    item = next(data.train_dataloader().pass_over()).items[0]
    video, watched = module._encoded(item), served.watch(shown(item.sample))
    for one in item.questions:
        learned = module._prompt(video, one)
        asked = served.route(watched, AskedQuestion(one.question, one.options), served.system()).prompt(served.backbone)
        assert torch.equal(learned.embeddings, asked.embeddings)
        with torch.no_grad():
            first = module._answer(video, one)[1]
        torch.testing.assert_close(served.backbone.next_token_logits(asked), first, atol=1e-4, rtol=1e-4)


def test_a_stage_3_over_screened_frames_sees_them_as_the_runtime_does(router: Path, flr: Path, tmp_path: Path) -> None:
    """A router folder may say `screen_side`; training then needs the frames themselves."""
    plain = VideoRouter.from_pretrained(router)
    plain.save_pretrained(tmp_path / "router")
    path = tmp_path / "router" / "config.json"
    config = json.loads(path.read_text())
    config["routing"]["screen_side"] = 56
    path.write_text(json.dumps(config))
    served, module = VideoRouter.from_pretrained(tmp_path / "router"), JointModule(str(tmp_path / "router"))
    data = AnswerData(str(flr))
    data.setup("fit")
    item = next(data.train_dataloader().pass_over()).items[0]
    one, watched = item.questions[0], served.watch(shown(item.sample))
    asked = served.route(watched, AskedQuestion(one.question, one.options), served.system()).prompt(served.backbone)
    torch.testing.assert_close(module._prompt(module._encoded(item), one).embeddings, asked.embeddings)
    assert Query("", frames=watched.sampled.frames).frames is not None


def test_the_control_without_frames_is_not_exported(base: Path, flr: Path, qtr: Path, tmp_path: Path) -> None:
    questions = ("--model.init_args.inputs", "question", "--data.init_args.questions_per_item", "1")
    control = fit("image_router", base, flr, tmp_path / "control", *SHORT, *FEW, *questions)
    with pytest.raises(CheckpointError, match="of the control that withholds frames"):
        export([control], tmp_path / "router")


def test_an_export_in_place_of_another_keeps_nothing_of_it(
    stages_1_and_2: tuple[Path, Path], base: Path, router: Path, tmp_path: Path
) -> None:
    """Neither its language model nor its settings; what others put there stays, and the folder is never half of each."""
    out = with_language(tmp_path / "router", base, "lora")
    (out / "notes.txt").write_text("mine")
    assert (out / "adapter").is_dir()
    export(stages_1_and_2, out)
    assert sorted(path.name for path in out.iterdir()) == [
        "README.md", "base.json", "config.json", "model.safetensors", "notes.txt", "training-image.yaml",
        "training-semantic.yaml", "training.json",
    ]  # fmt: skip
    VideoRouter.from_pretrained(router).save_pretrained(out)
    assert not (out / "training.json").exists()
    assert not list(out.glob(".*"))
