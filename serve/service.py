"""A request -> an answer: the video is decoded and watched, the question routed, an engine answers (ours)."""

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncGenerator, Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

from videorouter.routers.answering.answer import AskedQuestion
from videorouter.routers.answering.routed_question import RoutedQuestion
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.backbones.finite import NotFiniteError
from videorouter.routers.systems.base import System, encodes_on_demand, keeps_frames_whole, reads_question
from videorouter.routers.systems.registry import SYSTEMS, known_system
from videorouter.routers.systems.spec import parse_spec
from videorouter.serve.askable import check_can_be_asked
from videorouter.serve.chat.allowed_fields import EXTENSION
from videorouter.serve.chat.content import VideoUrl
from videorouter.serve.chat.conversation import ONE_PICTURE, Pictures
from videorouter.serve.chat.media_urls import media_urls
from videorouter.serve.chat.request import ChatRequest
from videorouter.serve.config import ServeConfig
from videorouter.serve.decoders import Decoders
from videorouter.serve.decoding import TooLongVideo, capped, frames_of_pictures, sample_within
from videorouter.serve.engines.engine import Piece, ServingEngine, Whole
from videorouter.serve.errors import BadVideo, NotThere, RequestError, TooLarge, Unreachable
from videorouter.serve.library import VideoKey, VideoLibrary
from videorouter.serve.media.media import Media, StoredFile
from videorouter.serve.metrics import Metrics
from videorouter.serve.pictures import jpeg
from videorouter.serve.worker import ModelWorker
from videorouter.shards.policy import Policy
from videorouter.video.errors import MissingVideo, VideoError
from videorouter.video.frames import SampledFrames, Sizing

_log = logging.getLogger(__name__)


@dataclass
class Answered:
    """An answer on its way: `whole`, or `pieces`. `routing` is the extension's object; seconds are added as they pass."""

    routing: dict[str, Any]
    whole: Whole | None = None
    pieces: AsyncGenerator[Piece] | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def extension(self) -> dict[str, Any]:
        """The extension's object, with the seconds that have passed."""
        spent = self.seconds | {"total": sum(self.seconds.values())}
        return self.routing | {"seconds": {stage: round(seconds, 5) for stage, seconds in spent.items()}}


class Service:
    """What one server answers with."""

    def __init__(
        self,
        config: ServeConfig,
        router: VideoRouter,
        worker: ModelWorker,
        library: VideoLibrary,
        media: Media,
        decoders: Decoders,
        engine: ServingEngine,
        metrics: Metrics,
    ) -> None:
        self.config, self.router, self.worker, self.library = config, router, worker, library
        self.media, self.decoders, self.engine, self.metrics = media, decoders, engine, metrics
        self._system = lru_cache(16)(self._built)
        self._systems = [name for name in SYSTEMS if self._can_be_asked(name)]

    async def answer(self, chat: ChatRequest, owner: str) -> Answered:
        """Everything up to the first token; the rest comes with `pieces`. Raises `RequestError`."""
        if chat.model not in (None, self.config.served_name):
            raise NotThere(
                f"there is no model {chat.model!r}, but {self.config.served_name!r}",
                param="model",
                code="model_not_found",
            )
        if chat.shown is None or (chat.unrouted is not None and self.config.engine != "own"):
            return await self._unrouted(chat)
        return await self._routed(chat, chat.shown, owner)

    def frame(self, owner: str, sha256: str, frames: int, place: int) -> bytes:
        """Frame `place` of a kept video as JPEG. Raises `NotThere`."""
        sampled = self.library.find(VideoKey(owner, sha256, frames))
        if sampled is None or not 0 <= place < len(sampled.frames):
            raise NotThere("this frame is not kept: ask about the video again")
        shape = sampled.shape and capped(self.config.picture_side, *sampled.shape)  # whatever size a file says it has
        return jpeg(sampled.frames[place], shape)

    def model(self, created: int) -> dict[str, Any]:
        """The one model, as a list of models holds it; `created` in seconds since 1970."""
        config = self.config
        told: dict[str, Any] = {"engine": config.engine, "base": self.router.backbone.path, "systems": self._systems}
        told |= {"system": config.system, "budget": config.budget or self.router.config.budget}
        told |= {"frames": min(config.frames or self.router.config.frames, config.most_frames)}
        return {
            "id": config.served_name,
            "object": "model",
            "created": created,
            "owned_by": "videorouter",
            EXTENSION: told,
        }

    async def health(self) -> dict[str, Any]:
        """Whether the model's thread is there, and the upstream answers."""
        upstream = await self.engine.healthy()
        well = self.worker.alive and upstream
        return {"status": "ok" if well else "unavailable", "worker": self.worker.alive, "upstream": upstream}

    async def _unrouted(self, chat: ChatRequest) -> Answered:
        """Text alone, or what cannot be routed, as the engine answers it without us."""
        await self._check_passed_on(chat)
        prepared = await self.engine.prepare_unrouted(chat)
        routing = {"engine": self.engine.name, "passed_through": chat.unrouted}
        return await self._answered(chat, prepared, Answered(routing))

    async def _routed(self, chat: ChatRequest, shown: VideoUrl | Pictures, owner: str) -> Answered:
        self.engine.check(chat)
        if self.engine.keeps_frames:  # the rest of the messages goes on as it came
            await self._check_passed_on(chat, {shown.url} if isinstance(shown, VideoUrl) else set(shown.urls))
        asked = _Asked.of(chat, self.config, self.router)
        self._check_system(asked)
        await self._check_question(chat, asked)
        started = time.perf_counter()
        key, sampled, cached = await self._sampled(shown, asked.frames, owner)
        decoded = time.perf_counter()
        routed, prepared, seconds = await self.worker.run(self._prepared, key, sampled, chat, asked, decoded)
        seconds = {"decode": 0.0 if cached else decoded - started} | seconds
        answered = Answered(self._routing(routed, key, cached), seconds=seconds)
        fed, dense = routed.kept.tokens, routed.dense_tokens
        if (sent := self.engine.sent(prepared)) is not None:
            answered.routing["sent"] = sent
            fed, dense = sent["tokens"], sent["dense_tokens"]
        self.metrics.fed.inc(fed)
        self.metrics.spared.inc(max(0, dense - fed))
        return await self._answered(chat, prepared, answered)

    def _check_system(self, asked: "_Asked") -> None:
        """Raise `RequestError` for a system that cannot be built, or a policy that it does not follow."""
        for policy, param in ((None, "videorouter.system"), (asked.policy, "videorouter.policy")):
            try:
                self._system(asked.system, policy)
            except ValueError as error:
                raise RequestError(" ".join(str(error).split()), param=param) from error

    async def _check_question(self, chat: ChatRequest, asked: "_Asked") -> None:
        """Raise `RequestError` for a question that is too long to be read beside every frame."""
        if not reads_question(self._system(asked.system, asked.policy)):
            return
        count = await asyncio.to_thread(self.router.backbone.count_tokens, _question(chat))
        if count <= (most := self.config.most_question_tokens):
            return
        alone = chat.routing.question is not None
        told = "shorten it" if alone else 'give the question alone as extra_body={"videorouter": {"question": "..."}}'
        raise RequestError(
            f"the question is {count:,} tokens, and {asked.system} reads at most {most:,}: {told}",
            param="videorouter.question" if alone else "messages",
        )

    async def _check_passed_on(self, chat: ChatRequest, replaced: Collection[str] = ()) -> None:
        """Raise `RequestError` where the upstream would be made to open what we would not: no client reaches further through it."""
        if self.config.upstream is None:
            return
        for place, url in media_urls(chat.body["messages"]):
            if url not in replaced:
                try:
                    await self.media.check(url)
                except RequestError as error:
                    error.param = error.param or place
                    raise

    async def _answered(self, chat: ChatRequest, prepared: Any, answered: Answered) -> Answered:
        if chat.stream:
            answered.pieces = self.engine.stream(prepared, chat)
            try:
                await anext(answered.pieces)  # what refuses the request comes while it can still be given a status
            except BaseException:
                await answered.pieces.aclose()
                raise
        else:
            answered.whole = await self.engine.complete(prepared, chat)
        return answered

    def _prepared(
        self, key: VideoKey, sampled: SampledFrames, chat: ChatRequest, asked: "_Asked", submitted: float
    ) -> tuple[RoutedQuestion, Any, dict[str, float]]:
        """On the model's thread: watch, route, and what the engine is to be given."""
        began = time.perf_counter()
        try:
            system = self._system(asked.system, asked.policy)
            watched, known = self.library.watched(key, sampled, encodes_on_demand(system))
            seen = time.perf_counter()
            between = _merged(asked.between, watched.frames_per_patch)
            question = AskedQuestion(_question(chat), chat.options, chat.text, between)
            routed = self.router.route(watched, question, system, asked.budget)
            self.library.measure(key)
            if self.engine.keeps_frames and not keeps_frames_whole(routed.kept, watched.grid):
                raise RequestError(
                    f"{system.name} drops tokens inside frames, which pictures cannot show: ask for videorouter, or another "
                    "system that keeps frames whole",
                    param="videorouter.system",
                )
            laid = time.perf_counter()
            prepared = self.engine.prepare(routed, chat)
        except NotFiniteError:  # the model's fault, not the request's
            raise
        except ValueError as error:
            raise _refusal(error) from error
        seconds = {
            "queue": began - submitted,
            "vision": (0.0 if known else seen - began) + routed.vision_seconds,
            "route": laid - seen - routed.vision_seconds,
            "prompt": time.perf_counter() - laid,
        }
        return routed, prepared, seconds

    async def _sampled(
        self, shown: VideoUrl | Pictures, frames: int, owner: str
    ) -> tuple[VideoKey, SampledFrames, bool]:
        """The frames of what is shown, and whether they were decoded before. Raises `RequestError`."""
        try:
            async with AsyncExitStack() as leases, asyncio.timeout(self.config.patience):
                if isinstance(shown, VideoUrl):
                    stored = await leases.enter_async_context(self.media.opened(shown.url, owner))
                    _check_kind(stored, "video")
                    key = VideoKey(owner, stored.sha256, frames)
                    return key, *await self.library.sampled(key, partial(self._decoded, stored, frames))
                if len(shown.urls) > self.config.most_frames:
                    raise TooLarge(f"{len(shown.urls)} pictures: at most {self.config.most_frames} are taken")
                pictures = [await leases.enter_async_context(self.media.opened(url, owner)) for url in shown.urls]
                for picture in pictures:
                    _check_kind(picture, "picture")
                told = repr((shown.seconds, [picture.sha256 for picture in pictures]))
                key = VideoKey(owner, hashlib.sha256(told.encode()).hexdigest(), len(pictures))
                return key, *await self.library.sampled(key, partial(self._from_pictures, pictures, shown))
        except TimeoutError as error:
            raise BadVideo(f"the video was not there and decoded within {self.config.patience:g} s") from error
        except VideoError as error:
            raise _refusal(error) from error

    async def _decoded(self, stored: StoredFile, frames: int) -> SampledFrames:
        sampler, most = self.router.config.sampler, self.config.most_seconds
        return await self.decoders.run(
            self.config.patience, sample_within, stored.path, frames, sampler, self._size(frames), most
        )

    async def _from_pictures(self, pictures: list[StoredFile], shown: Pictures) -> SampledFrames:
        paths = [picture.path for picture in pictures]
        return await asyncio.to_thread(frames_of_pictures, paths, shown.seconds, self._size(len(paths)))

    def _size(self, frames: int) -> Sizing:
        """The size at which frames are kept: that at which the base sees them, or one to be sent on as pictures."""
        if self.engine.keeps_frames:
            return partial(capped, self.config.picture_side)
        return self.router.backbone.sizing(frames)

    def _can_be_asked(self, name: str) -> bool:
        """Whether there is what the system needs: a router, an encoder, all of the base, a way to show what it keeps."""
        try:
            self._built(name, None)
        except ValueError:
            return False
        return True

    def _built(self, spec: str, policy: Policy | None) -> System:
        """Raises `ValueError` for a system that cannot be built, and for one that cannot be asked here."""
        system = self.router.system(spec, policy=policy, encoder=self.config.encoder)
        check_can_be_asked(system, self.router.backbone, keeps_frames=self.engine.keeps_frames)
        return system

    def _routing(self, routed: RoutedQuestion, key: VideoKey, cached: bool) -> dict[str, Any]:
        """The extension's object, without seconds."""
        sampled, relevance = routed.watched.sampled, routed.relevance
        merged = routed.watched.frames_per_patch
        return {
            "engine": self.engine.name,
            "system": routed.system,
            "policy": routed.policy,
            "policy_probability": None if routed.policy_probability is None else round(routed.policy_probability, 4),
            "budget": routed.budget,
            "tokens": routed.kept.tokens,
            "dense_tokens": routed.dense_tokens,
            "video": {
                "sha256": key.sha256,
                "duration": round(sampled.duration, 3),
                "fps": round(sampled.fps, 3),
                "sampled": len(sampled.frames),
                "cached": cached,
            },
            "frames": [
                {
                    "index": sampled.indices[place * merged],
                    "second": round(second, 3),
                    "score": None if relevance is None else relevance[place],
                    "tokens": routed.tokens_by_frame[place],
                }
                for place, second in enumerate(routed.watched.seconds)
            ],
        }


@dataclass(frozen=True)
class _Asked:
    """How one question is routed: what the request says, else what the server was started with."""

    system: str
    policy: Policy | None
    budget: int | None
    frames: int
    between: tuple[str, ...] | None

    @classmethod
    def of(cls, chat: ChatRequest, config: ServeConfig, router: VideoRouter) -> "_Asked":
        """Raises `RequestError` for a system that there is not, and for more frames than are taken."""
        routing, shown = chat.routing, chat.shown
        alone = chat.unrouted == ONE_PICTURE and routing.policy is None
        system = routing.system or ("dense" if alone else config.system) or ""
        try:
            known_system(system)
        except ValueError as error:
            raise RequestError(str(error), param="videorouter.system") from error
        if "encoder" in parse_spec(system).options and system != config.system:
            raise RequestError("the encoder is the server's own: leave it out", param="videorouter.system")
        if routing.frames is not None and routing.frames > config.most_frames:
            told = f"{routing.frames} frames: at most {config.most_frames} are taken"
            raise TooLarge(told, param="videorouter.frames")
        frames = routing.frames or min(chat.num_frames or config.frames or router.config.frames, config.most_frames)
        between = shown.between if isinstance(shown, Pictures) and any(shown.between) else None
        return cls(system, routing.policy, routing.budget or config.budget, frames, between)


def _question(chat: ChatRequest) -> str:
    """What routers read."""
    return chat.question or chat.asked_text


def _merged(between: tuple[str, ...] | None, together: int) -> tuple[str, ...] | None:
    """Texts around frames as texts around groups of so many, as the model merges them."""
    if between is None or together == 1:
        return between
    *before, last = between
    return (*("".join(before[place : place + together]) for place in range(0, len(before), together)), last)


def _check_kind(stored: StoredFile, wanted: str) -> None:
    if stored.kind != wanted:
        raise BadVideo(f"{stored.name} is a {stored.kind}, a {wanted} is needed here")


def _refusal(error: ValueError) -> RequestError:
    """What a request is told of an error below; paths of this machine are none of its business."""
    match error:
        case RequestError():
            return error
        case TooLongVideo():
            return TooLarge(f"the video is too long: {error.reason}")
        case MissingVideo():
            return Unreachable("the video is gone: send it again")
        case VideoError():
            return BadVideo(f"the video gives no frames ({error.verdict}): {error.reason}", code=error.verdict)
    return RequestError(" ".join(str(error).split()))
