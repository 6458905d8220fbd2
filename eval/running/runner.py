"""Answers items with systems: a video is decoded and encoded once for all of its questions and all systems of a call."""

import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from pathlib import Path
from typing import Final

import torch
from rich.markup import escape
from rich.progress import Progress

from videorouter.eval.benchmarks.items import Item
from videorouter.eval.config import Scoring
from videorouter.eval.run_folder import Failure, Prediction, SampledVideo
from videorouter.eval.running.answering import Answer, answers
from videorouter.eval.running.controls import Shuffled, reordered
from videorouter.eval.running.distribution import Ranks, batches, packs
from videorouter.eval.running.prompts import Wording, usual_wording
from videorouter.eval.running.unfinished_run import Journal
from videorouter.eval.running.video_cache import VideoCache
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.answering.watched_video import WatchedVideo, grid_of_file
from videorouter.routers.backbones.prompt import SharedPrefix
from videorouter.routers.backbones.protocol import Engine
from videorouter.routers.backbones.temporal import merged_any
from videorouter.routers.systems.base import CompressedVideo, System, on_grid
from videorouter.routers.systems.query import PassCache, Query
from videorouter.video.errors import VideoError

FAILS: Final = (VideoError, ValueError, RuntimeError)
"""Errors of a single question, which do not end the run."""


_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trial:
    """A question for a system, with at most `budget` tokens, where any question of the run may have up to `cap`.

    One that is `known` is asked again only to complete a batch; its answer stays as it was.
    """

    item: Item
    system: System
    cap: int
    budget: int
    known: Prediction | None = None


@dataclass(frozen=True)
class PreparedTrial:
    """A trial ready for the model: `kept` is what the system kept of the video, in `route_seconds`.

    `meant` turns a choice among shuffled options into the item's own letter; None where the options are in their own order.
    """

    trial: Trial
    watched: WatchedVideo
    query: Query
    kept: CompressedVideo
    route_seconds: float
    meant: dict[str, str] | None


class Runner:
    """Answers items with systems over one router's backbone; `scoring` as in `videorouter.eval.running.answering`."""

    def __init__(
        self,
        router: VideoRouter,
        scoring: Scoring,
        remembered_videos: int = 0,
        *,
        share_passes: bool = False,
        answers_at_once: int = 1,
        benchmark: str = "miniature",
        model: str = "router",
        wording: Wording | None = None,
        journal: Journal | None = None,
        tolerant: bool = False,
        ranks: Ranks | None = None,
        engine: Engine | None = None,
    ) -> None:
        """`remembered_videos` are kept encoded in host memory, for runs that come back to the same videos.

        `benchmark` and `model` are named in predictions. `wording` is the benchmark's usual one where it is not given.
        `journal` stores every answer as it is given, and returns stored ones instead of asking again. A `tolerant`
        runner records what cannot be decoded or answered in `failures` and goes on. Each of `ranks` takes its own videos.

        With `share_passes` a question reuses the prefill of the last one where a system kept the same tokens for both, and what
        a pass over the frames found is cached for other systems and budgets: the same answers sooner, but seconds of route and
        prefill that say nothing about a question alone.

        With `answers_at_once` above 1 a system's answers to so many questions are generated in one batch (`batches` says which);
        scoring by likelihood generates nothing. `engine` generates in place of the router's backbone, and gives no likelihoods.
        Raises `ValueError` for less than 1.
        """
        if answers_at_once < 1:
            raise ValueError(f"answers_at_once is {answers_at_once}: give 1 or more")
        self.router = router
        self.scoring = scoring
        self.share_passes, self.answers_at_once = share_passes, answers_at_once if scoring == "generate" else 1
        self.benchmark, self.model = benchmark, model
        self.engine = engine
        self.tolerant, self.ranks = tolerant, ranks or Ranks()
        self.wording, self.journal = wording or usual_wording(benchmark), journal
        self.videos: dict[str, SampledVideo] = {}
        """Every video used so far, by its name."""
        self.failures: list[Failure] = []
        self._cache = VideoCache(router, remembered_videos)  # encoder and frames stay the same when scales change
        self._caches: dict[str, PassCache] = {}

    def run(
        self,
        items: Sequence[Item],
        systems: Sequence[System],
        budgets: Mapping[str, Sequence[int]],
        progress: Progress,
        cap: int | None = None,
        *,
        keep: bool = True,
    ) -> list[Prediction]:
        """Every system's predictions from all ranks, in the order of items, then of systems.

        `budgets` holds one budget an item under each system's name, `cap` is the highest that any may have, their maximum where it
        is not given. `keep` is False for validation, where systems of one name differ: nothing goes to the journal. Asserts that no
        budgeted system exceeds its budget on any item.
        """
        task = progress.add_task(escape(" ".join(system.name for system in systems)), total=len(items))
        cap = cap or max(budget for own in budgets.values() for budget in own)
        position = {item.id: index for index, item in enumerate(items)}
        journal = self.journal if keep else None
        planned = [
            [
                [self._trial(item, system, cap, budgets[system.name][position[item.id]], journal) for item in batch]
                for batch in batches(pack, self.answers_at_once)
                for system in systems
            ]
            for place, pack in enumerate(packs(items, self.answers_at_once))
            if self.ranks.owns(place)
        ]
        own = [trial.known for pack in planned for trials in pack for trial in trials if trial.known is not None]
        pending = [[trials for trials in pack if any(trial.known is None for trial in trials)] for pack in planned]
        unasked = {trial.item.id: trial.item.video for pack in pending for trials in pack for trial in trials}
        progress.advance(task, len(items) - len(unasked))
        videos = list(dict.fromkeys(unasked.values()))
        following = dict(pairwise(videos))
        for pack in pending:
            shared = {system.name: SharedPrefix() if self.share_passes else None for system in systems}
            for _, same in groupby(pack, key=lambda trials: trials[0].item.id):
                by_system = list(same)
                for made in self._batch(by_system, following, shared):
                    own.append(made)
                    if journal is not None:
                        journal.keep(made)
                progress.advance(task, len(by_system[0]))
        turn = {system.name: index for index, system in enumerate(systems)}
        return sorted(self.ranks.gathered(own), key=lambda one: (position[one.item], turn[one.system]))

    def tokens_per_frame(self, items: Sequence[Item]) -> list[int]:
        """Tokens of a frame of each item's video, by its shape; 1 where the file does not read, which is told later."""
        router, found = self.router, dict[Path, int]()
        for video in {item.video for item in items}:
            try:
                found[video] = math.prod(grid_of_file(router.backbone, video, router.config.frames))
            except Exception as error:  # native decoders raise whatever their bindings do
                _log.info("%s: its shape is not known: %s", video, error)
        return [found.get(item.video, 1) for item in items]

    def watch(self, item: Item) -> WatchedVideo:
        """Decode and encode the item's video as the router was exported to: frames, sampler."""
        return self._cache.watch(item.video)

    def watch_and_record(self, item: Item) -> WatchedVideo:
        """The item's video as `watch` returns it; what was sampled is recorded in `videos`."""
        watched = self.watch(item)
        if item.video.name not in self.videos:
            sampled = watched.sampled
            self.videos[item.video.name] = SampledVideo(
                self.benchmark, item.video.name, str(item.video), self.router.config.frames, list(sampled.indices),
                [round(second, 4) for second in sampled.seconds], sampled.duration, self.wording.unread(item),
            )  # fmt: skip
        return watched

    def query(self, item: Item, watched: WatchedVideo) -> Query:
        """The item as the systems see it, with the truth about its sampled frames where it is known."""
        truth = item.truth.of_frames(watched.sampled.seconds) if item.truth else None
        if truth is not None:
            truth = replace(truth, relevant=merged_any(truth.relevant, watched.frames_per_patch))
        text = self.wording.render(item, watched.sampled.seconds)
        between = self.wording.between(item, watched.sampled.seconds, watched.seconds, watched.sampled.duration)
        query = watched.query(item.question, item.options, truth, text, between)
        return replace(query, cache=self._caches.setdefault(item.id, PassCache())) if self.share_passes else query

    def _trial(self, item: Item, system: System, cap: int, budget: int, journal: Journal | None) -> Trial:
        known = None
        if journal is not None:
            known = journal.known(system.name, item.id, self.router.config.frames, cap, budget)
        return Trial(item, system, cap, budget, known)

    def _batch(
        self,
        by_system: Sequence[Sequence[Trial]],
        following: Mapping[Path, Path],
        shared: Mapping[str, SharedPrefix | None],
    ) -> Iterator[Prediction]:
        """Answers to one batch of questions by each system in turn."""
        videos = self._watch_all([trial.item for trial in by_system[0]], following)
        for trials in by_system:
            yield from self._answer(trials, videos, shared[trials[0].system.name])

    def _watch_all(self, items: Sequence[Item], following: Mapping[Path, Path]) -> list[WatchedVideo | Exception]:
        """The items' videos, or why one cannot be decoded; while one is encoded the next is being decoded."""
        watched: dict[Path, WatchedVideo | Exception] = {}
        for item in items:
            for video in (item.video, following.get(item.video)):
                if item.video not in watched and video is not None:
                    self._cache.prefetch(video)
            if item.video not in watched:
                try:
                    watched[item.video] = self.watch_and_record(item)
                except FAILS as error:
                    watched[item.video] = error
        return [watched[item.video] for item in items]

    def _answer(
        self, trials: Sequence[Trial], videos: Sequence[WatchedVideo | Exception], shared: SharedPrefix | None
    ) -> list[Prediction]:
        """One system's new answers to a batch of questions; those that fail are left out."""
        prepared = []
        for trial, video in zip(trials, videos, strict=True):
            try:
                if isinstance(video, Exception):
                    raise video
                prepared.append(self._prepare(trial, video))
            except FAILS as error:
                self._fail(trial, error)
        return [made for one, made in self._answer_batch(prepared, shared) if one.trial.known is None]

    def _answer_batch(
        self, prepared: Sequence[PreparedTrial], shared: SharedPrefix | None
    ) -> list[tuple[PreparedTrial, Prediction]]:
        """Answers generated in one batch; where that fails, one by one, so that only what fails alone is a failure."""
        if not prepared:
            return []
        try:
            asked = [(one.kept, one.query) for one in prepared]
            found = answers(self.router.backbone, self.scoring, asked, shared, self.engine)
        except FAILS as error:
            if len(prepared) == 1:
                self._fail(prepared[0].trial, error)
                return []
        else:
            return [(one, self._prediction(one, answer)) for one, answer in zip(prepared, found, strict=True)]
        # Outside the handler, so that the memory held by the exception is freed.
        return [answered for one in prepared for answered in self._answer_batch([one], shared)]

    def _fail(self, trial: Trial, error: Exception) -> None:
        """Record a failure, unless the answer is known; raise it where the runner is not tolerant."""
        if not self.tolerant:
            raise error
        if trial.known is not None:
            return
        _log.info("%s failed on %s: %s: %s", trial.system.name, trial.item.id, type(error).__name__, error)
        item, reason, frames = trial.item, f"{type(error).__name__}: {error}", self.router.config.frames
        self.failures.append(
            Failure(self.benchmark, item.id, item.video.name, self.model, trial.system.name, frames, trial.cap, reason)
        )

    @torch.no_grad()
    def _prepare(self, trial: Trial, watched: WatchedVideo) -> PreparedTrial:
        item, system, budget = trial.item, trial.system, trial.budget
        shown, meant = reordered(item) if isinstance(system, Shuffled) else (item, None)
        query = self.query(shown, watched)
        started = time.perf_counter()
        kept = on_grid(system.compress(watched.all_tokens, query, budget), watched.grid)
        self._synchronise()
        seconds = time.perf_counter() - started
        if system.budgeted:
            assert kept.tokens <= budget, f"{system.name} fed {kept.tokens} tokens on {item.id}, its budget is {budget}"
        return PreparedTrial(trial, watched, query, kept, seconds, meant)

    def _prediction(self, prepared: PreparedTrial, answer: Answer) -> Prediction:
        item, watched, kept = prepared.trial.item, prepared.watched, prepared.kept
        choice = answer.choice if prepared.meant is None or answer.choice is None else prepared.meant[answer.choice]
        spans = kept.spans
        shared = "shared " if self.share_passes else ""
        return Prediction(
            benchmark=self.benchmark,
            item=item.id,
            video=item.video.name,
            group=item.group,
            model=self.model,
            system=prepared.trial.system.name,
            sampled=self.router.config.frames,
            cap=prepared.trial.cap,
            budget=prepared.trial.budget,
            tokens=kept.tokens,
            frames=[span.frame for span in spans],
            indices=[watched.sampled.indices[span.frame * watched.frames_per_patch] for span in spans],
            tokens_by_frame=[span.tokens for span in spans],
            relevance=None if kept.relevance is None else [round(float(score), 4) for score in kept.relevance],
            policy=kept.policy,
            prompt=self.wording.id,
            text=answer.text,
            choice=choice,
            answer=item.answer,
            options=len(item.options),
            seconds_by_stage={
                "decode": watched.decode_seconds,
                "vision": watched.vision_seconds,
                f"{shared}route": prepared.route_seconds,
                f"{shared}prefill": answer.prefill_seconds,
                "shared generate" if self.answers_at_once > 1 else "generate": answer.generate_seconds,
            },
            kind=prepared.trial.system.kind,
        )

    def _synchronise(self) -> None:
        if self.router.backbone.device.type == "cuda":
            torch.cuda.synchronize(self.router.backbone.device)
