"""`VideoRouter`: load an exported router, ask about a video, see what was kept and how long each stage took."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self, TypeVar, Unpack

import torch
from torch import Tensor

from videorouter.routers.answering.answer import Answer, AskedQuestion
from videorouter.routers.answering.frame_plan import frame_plan
from videorouter.routers.answering.parser import parse_choice
from videorouter.routers.answering.peak_memory import peak_memory
from videorouter.routers.answering.routed_question import RoutedQuestion, tokens_by_frame
from videorouter.routers.answering.watched_video import WatchedVideo, sampled_frames, watch
from videorouter.routers.backbones.language_weights import holds_language
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.backbones.loading_options import Loading, PromptOptions, hub_access
from videorouter.routers.backbones.prompt import SharedPrefix
from videorouter.routers.backbones.protocol import Backbone, Grid
from videorouter.routers.checkpoints.base_facts import base_facts
from videorouter.routers.checkpoints.base_identity import BaseModel
from videorouter.routers.checkpoints.card import model_card
from videorouter.routers.checkpoints.hub import copy_beside_weights, remove_router_files, router_folder
from videorouter.routers.checkpoints.language_inside import language_inside
from videorouter.routers.checkpoints.router_folder import (
    CARD,
    RouterConfig,
    build_routers,
    check_base,
    load_weights,
    read_config,
    trained_tensors,
    write_folder,
)
from videorouter.routers.checkpoints.training_history import read_history
from videorouter.routers.routing.allocation import Scales
from videorouter.routers.routing.routers import ImageRouter, SemanticRouter
from videorouter.routers.systems.base import System, encodes_on_demand, forced_policy, on_grid
from videorouter.routers.systems.query import Query
from videorouter.routers.systems.registry import BaseOnly, SystemOptions, build_system
from videorouter.routers.systems.spec import ROUTED
from videorouter.routers.systems.videorouter import RoutedCompression
from videorouter.shards.policy import POLICIES, Policy
from videorouter.video.frames import SampledFrames

Router = TypeVar("Router", SemanticRouter, ImageRouter)


class VideoRouter:
    """Two routers in front of a video language model (paper section 3)."""

    def __init__(
        self,
        backbone: Backbone,
        config: RouterConfig,
        semantic: SemanticRouter | None = None,
        image: ImageRouter | None = None,
        folder: Path | None = None,
    ) -> None:
        """`folder` is where all of it was loaded from; what stage 3 trained of the language model is saved from there.

        Without routers every system but the routed ones can answer.
        """
        self.backbone = backbone
        self.folder = folder
        self.config = config
        self._semantic = None if semantic is None else semantic.eval()
        self._image = None if image is None else image.eval()

    @property
    def has_routers(self) -> bool:
        """Whether there is a router, or a base model alone."""
        return self._semantic is not None and self._image is not None

    @property
    def semantic(self) -> SemanticRouter:
        """The Semantic Router. Raises `ValueError` where there is none."""
        return self._there(self._semantic)

    @property
    def image(self) -> ImageRouter:
        """The Image Router. Raises `ValueError` where there is none."""
        return self._there(self._image)

    @classmethod
    def from_base(
        cls,
        base: str,
        *,
        frames: int = 64,
        budget: int = 12_288,
        scales: Scales | None = None,
        **loading: Unpack[Loading],
    ) -> Self:
        """Load a base model alone, a checkpoint folder or Hub id: every system but the routed ones answers with it.

        `frames` a video, `budget` and `scales` are what an export would say of them; `loading` is as in `from_pretrained`, its
        `revision` the base's.
        Raises `ValueError` as `load_backbone`, and for less than one frame or token.
        """
        for name, value in (("frames", frames), ("budget", budget)):
            if value < 1:
                raise ValueError(f"{name} is {value}: give 1 or more")
        backbone = load_backbone(base, **loading)
        config = RouterConfig(
            BaseModel(base, "", loading.get("revision")),
            frames=frames,
            budget=budget,
            scales=scales or Scales(),
            prompt=PromptOptions(loading.get("frame_label"), loading.get("system_prompt")),
            shape=backbone.shape,
        )
        return cls(backbone, config)

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        *,
        base: str | None = None,
        accept_base: bool = False,
        **loading: Unpack[Loading],
    ) -> Self:
        """Load a router folder, or the Hub repository of that id at `revision`, and its base model.

        `base` overrides where the base model lies; it must be the one that the routers were trained on, in whatever files, unless
        `accept_base` takes another: a line of the log then says what differs. `revision` is the router's, the base's is recorded
        with it; the rest of `loading` is the base's (`videorouter.routers.backbones.loading_options.Loading`). Its `frame_size`,
        `min_pixels` and `max_pixels` take the place of the shape in which the export says that its routers saw frames.
        Raises `CheckpointError` for a folder that is not an export, or for another base; else as `load_backbone`.
        """
        access = hub_access(loading)
        folder = router_folder(path, loading.get("revision"), **access)
        config = read_config(folder)
        where, at = (base, None) if base is not None else (config.base.path, config.base.revision)
        config = check_base(config, where, revision=at, folder=folder, accept=accept_base, download=True, **access)
        config = replace(config, prompt=config.prompt.changed(loading))
        options: Loading = {**loading, **config.prompt.loading(), "revision": config.base.revision}
        backbone = load_backbone(config.base.path, shape=config.shape, **options)
        config = replace(config, shape=backbone.shape)
        semantic, image = build_routers(backbone, config, own_weights=holds_language(folder))
        load_weights(folder, config, semantic, image)
        backbone.use_language_of(folder)
        return cls(backbone, config, semantic, image, folder)

    def identified(self, base: BaseModel) -> Self:
        """The same, with `base` as what names its base model, by hash and revision."""
        return type(self)(self.backbone, replace(self.config, base=base), self._semantic, self._image, self.folder)

    def save_pretrained(self, path: str | Path) -> None:
        """Write the router folder: trained tensors only, the base model named by hash and never copied.

        Raises `ValueError` where there is no router.
        The card of the folder that it was loaded from, with its metrics, stays true as long as nothing was changed.
        """
        if self.folder is None:
            remove_router_files(Path(path))
        else:
            copy_beside_weights(self.folder, Path(path))
        write_folder(Path(path), self.config, trained_tensors(self.config, self.semantic, self.image), self._card())

    def rescaled(self, scales: Scales) -> Self:
        """The same routers with other compression scales."""
        return type(self)(self.backbone, replace(self.config, scales=scales), self._semantic, self._image, self.folder)

    def resampled(self, frames: int) -> Self:
        """The same routers on so many frames a video."""
        return type(self)(self.backbone, replace(self.config, frames=frames), self._semantic, self._image, self.folder)

    def system(
        self,
        spec: str = ROUTED,
        *,
        policy: Policy | None = None,
        scale: int | None = None,
        seed: int = 0,
        encoder: str | None = None,
        fill: bool = False,
    ) -> System:
        """A compression system over this backbone, written `NAME` or `NAME(option=value, ...)`.

        `policy` forces one on `videorouter`, the rest are `SystemOptions`. Raises `ValueError` naming the systems there are,
        or the option that one lacks, and for a policy that the system does not follow.
        """
        options = SystemOptions(scale, seed, encoder, fill)
        if not self.has_routers:
            if policy is not None:
                raise ValueError(f"the policy {policy!r} cannot be forced without a router: name one with --model")
            return build_system(spec, BaseOnly(self.backbone, self.config.scales), options)
        built = build_system(spec, self._routed(policy), options)
        if policy is not None and forced_policy(built) != policy:
            raise ValueError(f"the policy {policy!r} cannot be forced on {spec}, {_why_not(built)}")
        return built

    @torch.no_grad()
    def policy_probabilities(self, question: str) -> dict[str, float]:
        """The Semantic Router's probability of each policy for a question without its options. Raises as `save_pretrained`."""
        probabilities = self.semantic([self.backbone.embed_text(question)])[0]
        return dict(zip(POLICIES, probabilities.tolist(), strict=True))

    @torch.no_grad()
    def frame_relevance(self, video_tokens: Tensor, questions: Sequence[str], grid: Grid | None = None) -> Tensor:
        """`[T, M, channels]` tokens and Q questions -> `[Q, T]` probability that each frame is evidence.

        `grid` is the video's (`WatchedVideo.grid`). Raises `ValueError` where it is needed and not given.
        """
        embedded = [self.backbone.embed_text(text) for text in questions]
        usual = Query("", grid=grid).grid_or(self.backbone.grid)
        return self._routed().relevance(video_tokens, embedded, usual)

    def sample(self, video: str | Path) -> SampledFrames:
        """The frames of a file that `watch` encodes. Raises `VideoError` for an unreadable file."""
        return sampled_frames(self.backbone, video, self.config.frames, self.config.sampler)

    def watch(
        self, video: str | Path | SampledFrames, *, frames: int | None = None, on_demand: bool = False
    ) -> WatchedVideo:
        """Decode and encode a video once, for any number of questions; `frames` defaults to the export's. Raises as `watch`."""
        return watch(
            self.backbone, video, _given(frames, self.config.frames, "frames"), self.config.sampler, on_demand=on_demand
        )

    @torch.no_grad()
    def route(
        self, watched: WatchedVideo, asked: AskedQuestion, system: System, budget: int | None = None
    ) -> RoutedQuestion:
        """What `system` keeps of a watched video for a question, in at most `budget` visual tokens (the export's where null).

        Raises `ValueError` for an unworkable budget, or a question that the system cannot be asked.
        """
        most = _given(budget, self.config.budget, "budget")
        options = tuple(asked.options) if asked.options else None
        query = watched.query(asked.question, options, text=asked.text, between=asked.between)
        encoding, started = self.backbone.encoding_seconds, self._now()
        kept = on_grid(system.compress(watched.tokens, query, most), watched.grid)  # type: ignore[arg-type]
        seconds, late = self._now() - started, self.backbone.encoding_seconds - encoding
        by_frame = tokens_by_frame(kept, len(watched.tokens))
        relevance = None if kept.relevance is None else [round(p, 4) for p in kept.relevance.tolist()]
        rows, columns = watched.grid
        return RoutedQuestion(
            system=system.name,
            query=query,
            watched=watched,
            kept=kept,
            budget=most,
            policy_probability=self.policy_probabilities(asked.question)[kept.policy] if kept.policy else None,
            relevance=relevance,
            tokens_by_frame=by_frame,
            route_seconds=seconds - late,
            vision_seconds=late,
            plan=frame_plan(
                system.name,
                kept.policy,
                watched.sampled,
                by_frame,
                relevance,
                rows * columns,
                self.backbone.size_of(watched.grid),
                self.backbone.frames_per_patch,
            ),
        )

    def answer(
        self,
        video: str | Path | SampledFrames | WatchedVideo,
        question: str,
        options: Sequence[str] | None = None,
        budget: int | None = None,
        policy: Policy | None = None,
        system: str = ROUTED,
        max_new_tokens: int = 32,
        encoder: str | None = None,
        frames: int | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Answer:
        """Answer a question about a video file (or frames already sampled, or a watched video) with at most `budget` visual tokens.

        `budget` and `frames` default to the export's; `encoder` is what `relevance_pooling` looks with; `on_text` is told the
        answer piece by piece as it is decoded.
        Raises `VideoError` for an unreadable file, `ValueError` for an unworkable budget, system or policy, or an empty question.
        """
        _check_asked(question)
        built = self.system(system, policy=policy, encoder=encoder)
        with peak_memory(self.backbone.device) as peak:
            watched = self._watched(video, built, frames)
            made = self._answer(watched, AskedQuestion(question, options), built, budget, max_new_tokens, None, on_text)
        return replace(made, peak_memory=peak.bytes)

    def answer_all(
        self,
        video: str | Path | SampledFrames | WatchedVideo,
        questions: Sequence[AskedQuestion | tuple[str, Sequence[str] | None]],
        budget: int | None = None,
        policy: Policy | None = None,
        system: str = ROUTED,
        max_new_tokens: int = 32,
        encoder: str | None = None,
        frames: int | None = None,
    ) -> Iterator[Answer]:
        """Answers to many questions about one video, in their order; it is decoded and encoded once.

        A question for which the system keeps the tokens that it kept for the last one continues from that one's prefill. Stages
        decode and vision of every answer are the video's; prefill is what was left to do. Raises as `answer`.
        """
        built, shared = self.system(system, policy=policy, encoder=encoder), SharedPrefix()
        watched = self._watched(video, built, frames)
        for asked in questions:
            with peak_memory(self.backbone.device) as peak:
                made = self._answer(watched, AskedQuestion(*asked), built, budget, max_new_tokens, shared)
            yield replace(made, peak_memory=peak.bytes)

    def _card(self) -> str:
        """That of the folder it was loaded from where nothing was changed, else a new one with the same trainings."""
        folder, base = self.folder, self.config.base
        if folder is None:
            return model_card(self.config, base=base_facts(base.path, base.revision))
        if (folder / CARD).exists() and read_config(folder) == self.config:
            return (folder / CARD).read_text(encoding="utf-8")
        facts, inside = base_facts(base.path, base.revision), language_inside(folder)
        return model_card(self.config, read_history(folder), base=facts, language=inside)

    def _there(self, router: Router | None) -> Router:
        if router is None:
            raise ValueError(f"{self.config.base.path} was loaded without a router: load a router folder instead")
        return router

    def _routed(self, policy: Policy | None = None) -> RoutedCompression:
        config = self.config
        return RoutedCompression(
            self.backbone, self.semantic, self.image, config.scales, config.threshold, policy, config.routing
        )

    def _watched(
        self, video: str | Path | SampledFrames | WatchedVideo, system: System, frames: int | None
    ) -> WatchedVideo:
        if isinstance(video, WatchedVideo):
            return video if encodes_on_demand(system) else video.encoded()
        return self.watch(video, frames=frames, on_demand=encodes_on_demand(system))

    def _answer(
        self,
        watched: WatchedVideo,
        asked: AskedQuestion,
        system: System,
        budget: int | None,
        max_new_tokens: int,
        shared: SharedPrefix | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Answer:
        routed = self.route(watched, asked, system, budget)
        started = self._now()
        prompt = routed.prompt(self.backbone)
        laid_out = self._now()
        generated = self.backbone.generate(
            prompt, _given(max_new_tokens, 32, "max_new_tokens"), shared=shared, on_text=on_text
        )
        stages = {
            "decode": watched.decode_seconds,
            "vision": watched.vision_seconds + routed.vision_seconds,
            "route": routed.route_seconds,
            "prefill": laid_out - started + generated.prefill_seconds,
            "generate": generated.generate_seconds,
        }
        return Answer(
            text=generated.text,
            choice=parse_choice(generated.text, asked.options) if asked.options else None,
            policy=routed.policy,
            policy_probability=routed.policy_probability,
            relevance=routed.relevance,
            tokens=routed.kept.tokens,
            tokens_by_frame=routed.tokens_by_frame,
            frame_seconds=[round(second, 3) for second in watched.seconds],
            seconds_by_stage=stages | {"total": sum(stages.values())},
            peak_memory=None,
            system=system.name,
            plan=routed.plan,
        )

    def _now(self) -> float:
        if self.backbone.device.type == "cuda":
            torch.cuda.synchronize(self.backbone.device)
        return time.perf_counter()


def _check_asked(question: str) -> None:
    if not question.strip():
        raise ValueError("the question is empty: say what is asked about the video")


def _why_not(system: System) -> str:
    if (own := forced_policy(system)) is not None:
        return f"which is written with {own!r}: leave one of them out"
    return f"which follows none: leave it out, or take {ROUTED} or fca+{ROUTED}"


def _given(asked: int | None, usual: int, name: str) -> int:
    if asked is not None and asked < 1:
        raise ValueError(f"{name} is {asked}: give 1 or more, or nothing for the {usual} of the router")
    return usual if asked is None else asked
