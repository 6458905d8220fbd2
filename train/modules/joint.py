"""Stage 3: language model and routers learn together, on answers from routed tokens (paper section 4).

L = L_LM + 0.01 L_sem + 0.01 L_img.
"""

import copy
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import MeanMetric, MetricCollection

from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.backbones.loading_options import FrameLabel, Loading
from videorouter.routers.backbones.prefill import hidden_states
from videorouter.routers.backbones.protocol import Grid
from videorouter.routers.backbones.temporal import merged_any, merged_seconds
from videorouter.routers.checkpoints.hub import router_folder
from videorouter.routers.checkpoints.router_folder import (
    RouterConfig,
    build_routers,
    load_weights,
    read_config,
    trained_tensors,
)
from videorouter.routers.checkpoints.same_base import same_base
from videorouter.routers.checkpoints.trained_file import RECORD
from videorouter.routers.checkpoints.training_history import Training, read_history
from videorouter.routers.checkpoints.whole_below import WholeBelow
from videorouter.routers.routing.allocation import Scales
from videorouter.routers.routing.pooling import pool_frames
from videorouter.routers.routing.routers import ImageRouter, SemanticRouter
from videorouter.routers.systems.base import System
from videorouter.routers.systems.query import Query, letters, question_text
from videorouter.routers.systems.uniform_pooling import UniformPooling
from videorouter.routers.systems.videorouter import RoutedCompression
from videorouter.shards.policy import POLICIES
from videorouter.train.checkpoints.continued_language import continued_language
from videorouter.train.data.answers import AnsweredQuestion, VideoAnswers
from videorouter.train.data.feeding import Feeding, as_stored
from videorouter.train.data.steps import Counts, Microbatch
from videorouter.train.logs.throughput import ModelFlops
from videorouter.train.modules.semantic_router import policy_loss
from videorouter.train.modules.trained import Compiler, TrainedModule, compile_layers
from videorouter.train.optimizing.strategies import ZeroStrategy, whole_parameters
from videorouter.train.validation.relevance_validation import RelevanceValidation, relevance_loss

ROUTER_WEIGHT: Final = 0.01
SHOWN: Final = 8
"""Questions of a validation whose answers are kept to be looked at."""
HEAD_RATE: Final = 10.0
"""Heads learn at so many times the language model's rate (ours)."""


@dataclass(frozen=True)
class EncodedVideo:
    """A video's `tokens` `[T, M, channels]` on `grid`, when its frames are shown, and these `[T, H, W, 3]` themselves."""

    tokens: Tensor
    seconds: tuple[float, ...]
    grid: Grid
    frames: np.ndarray


class JointModule(TrainedModule):
    """Answers are learned from the very prompt that inference would feed, with the routers' own hard decisions.

    Routers learn from their own losses alone, through frozen copies of the base's first layers. Vision tower, projector and
    embeddings stay frozen (the last two ours): routers go on reading what they learned on. A question weighs as much as
    another, however long its answer (ours).
    """

    stage: ClassVar[str] = "joint"
    semantic: SemanticRouter
    image: ImageRouter

    def __init__(
        self,
        routers: str,
        routers_revision: str | None = None,
        language_model: Literal["lora", "full"] = "lora",
        lora_rank: int | None = None,
        lora_alpha: int | None = None,
        lora_targets: str | None = None,
        lora_dropout: float = 0.0,
        routing: Literal["routed", "uniform"] = "routed",
        uniform_scale: int = 4,
        scales: Scales | None = None,
        budget: int | None = None,
        threshold: float | None = None,
        recall_wanted: float = 0.95,
        frames: int | None = None,
        sampler: str | None = None,
        base: str | None = None,
        gradient_checkpointing: bool = True,
        compile: Compiler | None = None,
        learning_rate: float = 5e-6,
        weight_decay: float = 0.05,
        warmup_share: float = 0.03,
        accept_base: bool = False,
        frame_label: FrameLabel | None = None,
        system_prompt: str | None = None,
        decay_norms_and_biases: bool = False,
    ) -> None:
        """Load a router folder and its base, with what the folder holds for the language model.

        Args:
            routers: folder that `videorouter routers export` wrote from stages 1 and 2, or from a stage 3 that this one continues;
                or its id on the Hub
            routers_revision: of a router folder on the Hub
            language_model: train adapters beside its matrices, or all of its layers
            lora_rank: of the adapters; the export's where it holds adapters, else 16, where null
            lora_alpha: of the adapters; the export's where it holds adapters, else 32, where null
            lora_targets: regular expression over whole names of the matrices that get one; the export's where it holds adapters,
                else every matrix of the decoder, where null
            lora_dropout: share of the adapters' input that is dropped while they learn
            routing: `uniform` is the control: every frame pooled alike, no router learns
            uniform_scale: compression scale of that control
            scales: compression scales; the export's where null
            budget: visual tokens a question; the export's where null
            threshold: a frame is relevant above this probability, from the first step to the last; where null the export's, and
                after each validation the one that finds so large a share of the evidence as `recall_wanted`
            recall_wanted: of validation evidence, by the threshold
            frames: frames sampled a video at run time, stored in the export; as many as the shards hold where null
            sampler: frame sampler at run time, stored in the export; the shards' where null
            base: where the base model lies, if not where the router folder says
            gradient_checkpointing: compute layers again on the way back instead of keeping their states
            compile: the language model's layers by torch.compile's backend of that name
            learning_rate: peak rate of AdamW; the heads' is ten times this
            weight_decay: of AdamW, on matrices
            warmup_share: share of all optimizer steps spent warming up; cosine decay to 0 afterwards
            accept_base: take another base than the routers were trained on, and say what differs
            frame_label: what stands before InternVL's frames, with a colon; the export's where null
            system_prompt: what the system says before the user; the export's, or what the base's template writes, where null
            decay_norms_and_biases: let weight decay reach norms and biases too
        """
        folder = router_folder(routers, routers_revision)
        config = read_config(folder)
        where, revision = (base, None) if base else (config.base.path, config.base.revision)
        super().__init__(
            where,
            learning_rate,
            weight_decay,
            warmup_share,
            decay_norms_and_biases=decay_norms_and_biases,
            revision=revision,
            accept_base=accept_base,
        )
        remedy = "give the right one as `base`"
        self.base = same_base(config.base, self.base, remedy=remedy, folder=folder, accept=accept_base, download=True)
        self.config: RouterConfig = replace(
            config,
            scales=scales or config.scales,
            budget=budget or config.budget,
            threshold=config.threshold if threshold is None else threshold,
        )
        self.prompt = config.prompt.changed({"frame_label": frame_label, "system_prompt": system_prompt})
        loading: Loading = {**self.prompt.loading(), "device": "cpu", "revision": self.base.revision}
        backbone: Any = load_backbone(self.base.path, shape=config.shape, **loading)
        semantic, image = build_routers(backbone, self.config, own_weights=True)
        load_weights(folder, self.config, semantic, image)
        self.asked_frames, self.asked_sampler = frames, sampler
        self.routers, self.history = routers, read_history(folder)
        self.backbone, self.routing, self.uniform_scale = backbone, routing, uniform_scale
        self.beside("semantic", semantic)
        self.beside("image", image)
        self.deciding: tuple[Any, Any] = (_with_head_of_its_own(semantic), _with_head_of_its_own(image))
        self.costs = ModelFlops.of(backbone.model.config, config.shadow_layers)
        asked: dict[str, Any] = {
            "rank": lora_rank,
            "alpha": lora_alpha,
            "targets": lora_targets,
            "dropout": lora_dropout,
        }
        self.language = continued_language(folder, backbone, language_model, asked)
        self.under = WholeBelow.of(routers, folder) if language_model == "lora" else None
        language = backbone.model.model.language_model
        if gradient_checkpointing:
            language.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
            language.layers.train()  # only then do they forget; Lightning leaves modes as they are
        compile_layers(language.layers, compile)
        # What is trained and no more is part of this module: ZeRO shards it, and ranks call all of it equally often.
        self.trained = nn.ModuleDict(
            {"layers": language.layers, "norm": language.norm, "lm_head": backbone.model.lm_head}
        )
        if routing == "routed":
            self.trained.update({"semantic": semantic.head, "image": image.head})
        self.validation = MetricCollection({name: MeanMetric() for name in ("loss", "accuracy")}, compute_groups=False)
        self._said: list[dict[str, str]] = []
        self.router_validation = RelevanceValidation()
        self.policy_validation = MeanMetric()
        self.recall_wanted, self.recalibrates = recall_wanted, threshold is None and routing == "routed"

    def setup(self, stage: str) -> None:
        if self._trainer is not None:
            self._data().check_shape(self.backbone.shape)
            self._data().feed(Feeding(self.fed_size if self.config.routing.screen_side is None else as_stored))
            frames, sampler = self._data().sampling(self.asked_frames, self.asked_sampler)
            self.config = replace(self.config, frames=frames, sampler=sampler)
        self.backbone.to(self.device)
        if self._trainer is None or not isinstance(self._trainer.strategy, ZeroStrategy):  # it keeps masters of its own
            for tensor in self.language.tensors().values():  # bfloat16 swallows small steps
                tensor.data = tensor.data.float()
        for router in (self.semantic, self.image, *self.deciding):
            router.to(self.device)

    def trained_tensors(self) -> dict[str, Tensor]:
        tensors = trained_tensors(self.config, self.semantic, self.image)
        return tensors | {f"language.{name}": tensor for name, tensor in self.language.tensors().items()}

    def rates(self) -> dict[str, float]:
        return {"semantic.": HEAD_RATE * self.learning_rate, "image.": HEAD_RATE * self.learning_rate}

    def record(self) -> dict[str, Any]:
        config = self.config
        return {
            "heads": ["semantic", "image"],
            "shadow_layers": config.shadow_layers,
            "hidden": config.hidden,
            "frames": config.frames,
            "sampler": config.sampler,
            "budget": config.budget,
            "threshold": config.threshold,
            "scales": vars(config.scales),
            "uniform_scale": self.uniform_scale if self.routing == "uniform" else None,
            "routing": vars(config.routing),
            "shape": vars(config.shape),
            "shadows": {"semantic": vars(config.semantic_shadow), "image": vars(config.image_shadow)},
            "language": self.language.record() | {"over": None if self.under is None else vars(self.under)},
            "prompt": vars(self.prompt),
        }

    def earlier(self) -> list[Training]:
        return self.history

    def repositories(self) -> list[str]:
        return [] if Path(self.routers).is_dir() else [self.routers]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        over = checkpoint[RECORD]["language"].get("over") or {}
        if over.get("sha256") != (self.under.sha256 if self.under else None):
            raise ValueError(
                "the checkpoint's adapters were trained over another language model than the one in `routers`: resume with the "
                f"router folder that it was started from{', ' + over['path'] if over else ''}"
            )
        super().on_load_checkpoint(checkpoint)
        if self.recalibrates:
            self.config = replace(self.config, threshold=checkpoint[RECORD]["threshold"])

    def on_train_batch_start(self, batch: Microbatch[VideoAnswers], batch_idx: int) -> None:
        self._take_heads()
        self.language.drop(True)

    def on_validation_epoch_start(self) -> None:
        self._take_heads()
        self.language.drop(False)

    def losses(self, batch: Microbatch[VideoAnswers]) -> dict[str, tuple[float, Tensor]]:
        videos = [self._encoded(item) for item in batch.items]
        asked = [(video, one) for video, item in zip(videos, batch.items, strict=True) for one in item.questions]
        answers = [self._answer(*one)[0] for one in asked]
        spare = [0.0 * self._answer(*asked[-1])[0] for _ in range(batch.widest - len(asked))]
        told = {"answers": (1.0, torch.stack([*answers, *spare]).sum() / max(1, batch.of_step.questions))}
        if self.routing == "routed":
            told["policy"] = (ROUTER_WEIGHT, self._policy_loss([one for _, one in asked], batch.of_step))
            told["relevance"] = (ROUTER_WEIGHT, self._relevance_loss(batch.items, videos, batch.of_step))
        return told

    def validation_step(self, batch: Microbatch[VideoAnswers], batch_idx: int) -> None:
        videos = [self._encoded(item) for item in batch.items]
        asked = [(video, one) for video, item in zip(videos, batch.items, strict=True) for one in item.questions]
        for number in range(batch.widest):
            video, one = asked[min(number, len(asked) - 1)]
            loss, first = self._answer(video, one)
            if number < len(asked) and not batch.repeated:
                self.validation["loss"].update(loss)
                if one.options:
                    said = self._letter(first, one)
                    self.validation["accuracy"].update(float(said == answer_text(one)))
                    if len(self._said) < SHOWN:
                        self._said.append({"question": one.question, "answer": answer_text(one), "said": said})
        if self.routing == "routed" and not batch.repeated:
            self._validate_routers(batch.items, videos)

    def validates(self) -> list[str]:
        answers = [f"answer_{name}" for name in self.validation]
        if self.routing != "routed":
            return answers
        return [*answers, "semantic_accuracy", *(f"image_{name}" for name in RelevanceValidation.NAMES)]

    def on_validation_epoch_end(self) -> None:
        for name, metric in self.validation.items():
            self.measured(f"val/answer_{name}", metric.compute(), prog_bar=True)
            metric.reset()
        self._show()
        if self.routing != "routed":
            return
        policies = float(self.policy_validation.compute())
        self.policy_validation.reset()
        if math.isfinite(policies):
            self.measured("val/semantic_accuracy", policies)
        found = self.router_validation.results(self.recall_wanted)
        for name, value in found.items():
            self.measured(f"val/image_{name}", value)
        if found and self.recalibrates and not self.trainer.sanity_checking:
            self.config = replace(self.config, threshold=found["threshold"])

    def _show(self) -> None:
        """Append what was said to the first questions to `validation-samples.jsonl` in the output folder."""
        said, self._said = self._said, []
        if self.trainer.is_global_zero and not self.trainer.sanity_checking:
            with (Path(self.trainer.default_root_dir) / "validation-samples.jsonl").open(
                "a", encoding="utf-8"
            ) as lines:
                for one in said:
                    lines.write(json.dumps({"step": self.global_step} | one, ensure_ascii=False) + "\n")

    def _validate_routers(self, items: Sequence[VideoAnswers], videos: Sequence[EncodedVideo]) -> None:
        """By the heads that decide, which every rank holds whole: ranks may have unequally many labels."""
        semantic, image = self.deciding
        asked = [one for item in items for one in item.questions if one.policy is not None]
        if asked:
            features = self.semantic.features([self.backbone.embed_text(one.question) for one in asked])
            chosen = semantic.head(features).argmax(-1).tolist()
            right = [POLICIES[number] == one.policy for number, one in zip(chosen, asked, strict=True)]
            self.policy_validation.update(torch.tensor(right, dtype=torch.float32, device=self.device))
        relevance = self._labelled_relevance(items, videos)
        if relevance is not None:
            features, labels = relevance
            self.router_validation.update(image.head(features), labels)

    @torch.no_grad()
    def _encoded(self, item: VideoAnswers) -> EncodedVideo:
        seconds = merged_seconds(item.sample.video.seconds, self.backbone.frames_per_patch)
        grid, frames = self.backbone.grid_of(*item.stored), item.frames()
        tokens = self.backbone.encode_frames(frames, grid=grid)
        if self.costs is not None:
            self.spent += self.costs.frames(len(tokens), self.backbone.size_of(grid))
        return EncodedVideo(tokens, seconds, grid, frames[:: self.backbone.frames_per_patch])

    def system(self) -> System:
        """What inference would compress with, now."""
        if self.routing == "uniform":
            return UniformPooling(self.backbone.grid, self.uniform_scale)
        config, (semantic, image) = self.config, self.deciding
        return RoutedCompression(
            self.backbone, semantic, image, config.scales, config.threshold, options=config.routing
        )

    def _take_heads(self) -> None:
        """Give the routers that decide the heads as they are now: they are called as often as a rank's questions want.

        (Not within a forward pass: ZeRO-3 may be fetching the heads there.)
        """
        learners: tuple[Any, Any] = (self.semantic, self.image)
        for deciding, learning in zip(self.deciding, learners, strict=True):
            parameters: list[nn.Parameter] = list(learning.head.parameters())
            with whole_parameters(parameters):
                for own, learned in zip(deciding.head.parameters(), parameters, strict=True):
                    own.data.copy_(learned.data)

    @torch.no_grad()
    def _prompt(self, video: EncodedVideo, one: AnsweredQuestion) -> Any:
        query = Query(one.question, one.options, seconds=video.seconds, frames=video.frames, grid=video.grid)
        kept = self.system().compress(video.tokens, query, self.config.budget)
        return self.backbone.embed_prompt(kept, question_text(query), video.seconds)

    def _answer(self, video: EncodedVideo, one: AnsweredQuestion) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy of one answer's tokens, the end of the turn included, and the logits `[V]` of the first.

        All ranks must run the layers equally often (ZeRO-3 gathers them each time): once a question, and where a rank has fewer
        questions than another its last again, for nothing.
        """
        tokenizer, prompt = self.backbone.tokenizer, self._prompt(video, one)
        ids = torch.tensor(
            [*tokenizer(answer_text(one), add_special_tokens=False).input_ids, tokenizer.eos_token_id],
            device=prompt.embeddings.device,
        )
        with torch.no_grad():
            words = self.backbone.embed_ids(ids[:-1])
        if self.costs is not None:  # the routers' few layers, which run for some questions only, are left out
            whole = self.language.mode == "full"
            self.spent += self.costs.answer(len(prompt), len(ids), whole)
        language = self.backbone.model.model.language_model
        asked = prompt.followed_by(words).to(
            next(language.layers.parameters()).dtype
        )  # under ZeRO not the frozen parts'
        states = hidden_states(language, asked)
        logits = self.backbone.model.lm_head(states[0, -len(ids) :])
        return functional.cross_entropy(logits.float(), ids), logits[0].detach()

    def _letter(self, logits: Tensor, one: AnsweredQuestion) -> str:
        """The option letter of highest logit."""
        assert one.options is not None
        names = letters(one.options)
        return names[int(logits[[self.backbone.token_id(name) for name in names]].argmax())]

    def _policy_loss(self, asked: Sequence[AnsweredQuestion], of_step: Counts) -> Tensor:
        """One call of the head, whether or not a question has a label."""
        labelled = [one for one in asked if one.policy is not None]
        questions = [self.backbone.embed_text(one.question) for one in labelled or asked[:1]]
        logits = self.semantic.head(self.semantic.features(questions))
        if not labelled:
            return 0.0 * logits.sum()
        labels = torch.tensor([POLICIES.index(str(one.policy)) for one in labelled], device=logits.device)
        return policy_loss(logits, labels, of_step)

    def _relevance_loss(self, items: Sequence[VideoAnswers], videos: Sequence[EncodedVideo], of_step: Counts) -> Tensor:
        """One call of the head, whether or not a question has a label."""
        relevance = self._labelled_relevance(items, videos)
        if relevance is None:
            return 0.0 * self.image.head(self._image_features(videos[0], items[0].asked[:1])).sum()
        features, labels = relevance
        return relevance_loss(self.image.head(features), labels, of_step)

    def _labelled_relevance(
        self, items: Sequence[VideoAnswers], videos: Sequence[EncodedVideo]
    ) -> tuple[Tensor, Tensor] | None:
        """Features `[pairs, T, 2D]` and labels `[pairs, T]` of questions whose relevance is known; None where there are none."""
        features, rows = [], []
        for item, video in zip(items, videos, strict=True):
            labelled = [one for one in item.questions if one.relevant is not None]
            if labelled:
                features.append(self._image_features(video, [one.question for one in labelled]))
                rows += [merged_any(one.relevant or [], self.backbone.frames_per_patch) for one in labelled]
        if not rows:
            return None
        return torch.cat(features), torch.tensor(rows, device=self.device)

    @torch.no_grad()
    def _image_features(self, video: EncodedVideo, questions: Sequence[str]) -> Tensor:
        seen = video.tokens[..., : self.backbone.hidden_size]
        pooled = pool_frames(seen, self.config.routing.router_scale, video.grid)
        return self.image.features(pooled, [self.backbone.embed_text(text) for text in questions])


def _with_head_of_its_own(router: Any) -> Any:
    """The same router over the same frozen layers, its head apart."""
    other = copy.copy(router)
    other._modules = dict(router._modules)
    other.head = copy.deepcopy(router.head).requires_grad_(False).eval()
    return other


def answer_text(one: AnsweredQuestion) -> str:
    """What the model is to say: the option's letter, as prompts ask for it, or the answer itself."""
    if not one.options:
        return one.answer
    return letters(one.options)[one.options.index(one.answer)]
