"""Systems over items: a video is decoded and encoded once for all its questions and the systems that are run together."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from pathlib import Path
from typing import Final

import torch
from rich.markup import escape
from rich.progress import Progress

from videorouter.eval.answering import Answer, answers
from videorouter.eval.batches import batches, packs
from videorouter.eval.config import Scoring
from videorouter.eval.controls import Shuffled, reordered
from videorouter.eval.items import Item
from videorouter.eval.journal import Journal
from videorouter.eval.predictions import Prediction
from videorouter.eval.prompts import Wording, usual_wording
from videorouter.eval.ranks import Ranks
from videorouter.eval.run_folder import Failure, Watched
from videorouter.eval.watching import Watching
from videorouter.routers.backbones import SharedPrefix, merged_any
from videorouter.routers.runtime import VideoRouter
from videorouter.routers.systems.base import CompressedVideo, System
from videorouter.routers.systems.looks import Looks
from videorouter.routers.systems.query import Query
from videorouter.routers.watched_video import WatchedVideo
from videorouter.video.errors import VideoError

FAILS: Final = (VideoError, ValueError, RuntimeError)
"""What a question may end in without ending the run."""


@dataclass(frozen=True)
class Trial:
    """A question to a system: at most `budget` tokens, and `cap` where any question might have that many.

    One that is `known` is asked again only for the company of others, and stays as it was.
    """

    item: Item
    system: System
    cap: int
    budget: int
    known: Prediction | None = None


@dataclass(frozen=True)
class Posed:
    """A trial ready for the model: what the system kept of the video in `route_seconds`.

    `meant` turns a choice among options in another order into the one of the item; None where they have their own.
    """

    trial: Trial
    watched: WatchedVideo
    query: Query
    kept: CompressedVideo
    route_seconds: float
    meant: dict[str, str] | None


class Runner:
    """Answers items with systems over one router's backbone; `scoring` as in `videorouter.eval.answering`."""

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
    ) -> None:
        """`remembered_videos` are kept encoded in host memory, for runs that come back to the same videos.

        `benchmark` and `model` are named in predictions. `wording` is the benchmark's usual one where it is not given.
        `journal` keeps every answer as it is given, and gives those kept before instead of asking again. A `tolerant`
        runner keeps what cannot be watched or answered in `failures` and goes on. Of `ranks` each takes its own videos.

        With `share_passes` a question goes on from the last one's video where a system kept the same tokens for both, and what
        a pass over the frames found is kept for other systems and budgets: the same answers sooner, but seconds of route and
        prefill that say nothing about a question alone.

        With `answers_at_once` above 1 a system's answers to so many questions are generated at once (`batches` says which);
        one by likelihood needs no generation. Raises `ValueError` for less than 1.
        """
        if answers_at_once < 1:
            raise ValueError(f"answers_at_once is {answers_at_once}: give 1 or more")
        self.router = router
        self.scoring = scoring
        self.share_passes, self.answers_at_once = share_passes, answers_at_once if scoring == "generate" else 1
        self.benchmark, self.model = benchmark, model
        self.tolerant, self.ranks = tolerant, ranks or Ranks()
        self.wording, self.journal = wording or usual_wording(benchmark), journal
        self.watched: dict[str, Watched] = {}
        """Every video watched so far, by its name."""
        self.failures: list[Failure] = []
        self._watching = Watching(router, remembered_videos)  # the encoder and the frames stay when scales change
        self._looks: dict[str, Looks] = {}

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

        `budgets` holds one budget an item under each system's name, `cap` is what any of them might be, the highest where it is
        not given. Validation is not to `keep`: systems of one name differ there. Asserts that no budgeted system exceeds its
        budget on any item.
        """
        task = progress.add_task(escape(" ".join(system.name for system in systems)), total=len(items))
        cap = cap or max(budget for own in budgets.values() for budget in own)
        position = {item.id: index for index, item in enumerate(items)}
        journal = self.journal if keep else None
        planned = [
            [
                [self._trial(item, system, cap, budgets[system.name][position[item.id]], journal) for item in together]
                for together in batches(pack, self.answers_at_once)
                for system in systems
            ]
            for place, pack in enumerate(packs(items, self.answers_at_once))
            if self.ranks.owns(place)
        ]
        own = [trial.known for pack in planned for trials in pack for trial in trials if trial.known is not None]
        waiting = [[trials for trials in pack if any(trial.known is None for trial in trials)] for pack in planned]
        unasked = {trial.item.id: trial.item.video for pack in waiting for trials in pack for trial in trials}
        progress.advance(task, len(items) - len(unasked))
        videos = list(dict.fromkeys(unasked.values()))
        following = dict(pairwise(videos))
        for pack in waiting:
            shared = {system.name: SharedPrefix() if self.share_passes else None for system in systems}
            for _, same in groupby(pack, key=lambda trials: trials[0].item.id):
                asked = list(same)
                for made in self._batch(asked, following, shared):
                    own.append(made)
                    if journal is not None:
                        journal.keep(made)
                progress.advance(task, len(asked[0]))
        turn = {system.name: index for index, system in enumerate(systems)}
        return sorted(self.ranks.together(own), key=lambda one: (position[one.item], turn[one.system]))

    def watch(self, item: Item) -> WatchedVideo:
        """Decode and encode the item's video as the router was exported to: frames, sampler."""
        return self._watching.watch(item.video)

    def query(self, item: Item, watched: WatchedVideo) -> Query:
        """The item as the systems see it, with the truth about its sampled frames where it is known."""
        truth = item.truth.of_frames(watched.sampled.seconds) if item.truth else None
        if truth is not None:
            truth = replace(truth, relevant=merged_any(truth.relevant, watched.frames_per_patch))
        text = self.wording.render(item, watched.sampled.seconds)
        between = self.wording.between(item, watched.sampled.seconds, watched.seconds, watched.sampled.duration)
        query = watched.query(item.question, item.options, truth, text, between)
        return replace(query, looks=self._looks.setdefault(item.id, Looks())) if self.share_passes else query

    def _trial(self, item: Item, system: System, cap: int, budget: int, journal: Journal | None) -> Trial:
        known = None
        if journal is not None:
            known = journal.known(system.name, item.id, self.router.config.frames, cap, budget)
        return Trial(item, system, cap, budget, known)

    def _batch(
        self,
        asked: Sequence[Sequence[Trial]],
        following: Mapping[Path, Path],
        shared: Mapping[str, SharedPrefix | None],
    ) -> Iterator[Prediction]:
        """Answers to one batch, asked of each system in turn."""
        watched = self._seen_together([trial.item for trial in asked[0]], following)
        for trials in asked:
            yield from self._answered(trials, watched, shared[trials[0].system.name])

    def _seen_together(self, items: Sequence[Item], following: Mapping[Path, Path]) -> list[WatchedVideo | Exception]:
        """The videos of a batch, or why one cannot be watched; each is decoded ahead of the one before it."""
        seen: dict[Path, WatchedVideo | Exception] = {}
        for item in items:
            for video in (item.video, following.get(item.video)):
                if item.video not in seen and video is not None:
                    self._watching.begin(video)
            if item.video not in seen:
                try:
                    seen[item.video] = self.seen(item)
                except FAILS as error:
                    seen[item.video] = error
        return [seen[item.video] for item in items]

    def _answered(
        self, trials: Sequence[Trial], watched: Sequence[WatchedVideo | Exception], shared: SharedPrefix | None
    ) -> list[Prediction]:
        """One system's answers to a batch of questions; none where there is none to be had."""
        posed = []
        for trial, video in zip(trials, watched, strict=True):
            try:
                if isinstance(video, Exception):
                    raise video
                posed.append(self._posed(trial, video))
            except FAILS as error:
                self._fail(trial, error)
        return [made for one, made in self._together(posed, shared) if one.trial.known is None]

    def _together(self, posed: Sequence[Posed], shared: SharedPrefix | None) -> list[tuple[Posed, Prediction]]:
        """Answers generated at once; where that fails, one by one, so that only what fails alone has failed."""
        if not posed:
            return []
        try:
            found = answers(self.router.backbone, self.scoring, [(one.kept, one.query) for one in posed], shared)
        except FAILS as error:
            if len(posed) == 1:
                self._fail(posed[0].trial, error)
                return []
        else:
            return [(one, self._prediction(one, answer)) for one, answer in zip(posed, found, strict=True)]
        # Out of the handler: what the failure held in memory is let go of.
        return [answered for one in posed for answered in self._together([one], shared)]

    def _fail(self, trial: Trial, error: Exception) -> None:
        """Note it, unless the answer is known; raise it where the runner is not tolerant."""
        if not self.tolerant:
            raise error
        if trial.known is not None:
            return
        item, told, frames = trial.item, f"{type(error).__name__}: {error}", self.router.config.frames
        self.failures.append(
            Failure(self.benchmark, item.id, item.video.name, self.model, trial.system.name, frames, trial.cap, told)
        )

    def seen(self, item: Item) -> WatchedVideo:
        """The item's video, watched once for all questions that follow one another; what was sampled is noted in `watched`."""
        watched = self.watch(item)
        if item.video.name not in self.watched:
            sampled = watched.sampled
            self.watched[item.video.name] = Watched(
                self.benchmark, item.video.name, str(item.video), self.router.config.frames, list(sampled.indices),
                [round(second, 4) for second in sampled.seconds], sampled.duration, self.wording.unread(item),
            )  # fmt: skip
        return watched

    @torch.no_grad()
    def _posed(self, trial: Trial, watched: WatchedVideo) -> Posed:
        item, system, budget = trial.item, trial.system, trial.budget
        shown, meant = reordered(item) if isinstance(system, Shuffled) else (item, None)
        query = self.query(shown, watched)
        started = time.perf_counter()
        kept = system.compress(watched.all_tokens, query, budget)
        self._finish()
        seconds = time.perf_counter() - started
        if system.budgeted:
            assert kept.tokens <= budget, f"{system.name} fed {kept.tokens} tokens on {item.id}, its budget is {budget}"
        return Posed(trial, watched, query, kept, seconds, meant)

    def _prediction(self, posed: Posed, answer: Answer) -> Prediction:
        item, watched, kept = posed.trial.item, posed.watched, posed.kept
        choice = answer.choice if posed.meant is None or answer.choice is None else posed.meant[answer.choice]
        spans = kept.spans
        shared = "shared " if self.share_passes else ""
        return Prediction(
            benchmark=self.benchmark,
            item=item.id,
            video=item.video.name,
            group=item.group,
            model=self.model,
            system=posed.trial.system.name,
            sampled=self.router.config.frames,
            cap=posed.trial.cap,
            budget=posed.trial.budget,
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
                f"{shared}route": posed.route_seconds,
                f"{shared}prefill": answer.prefill_seconds,
                "shared generate" if self.answers_at_once > 1 else "generate": answer.generate_seconds,
            },
        )

    def _finish(self) -> None:
        if self.router.backbone.device.type == "cuda":
            torch.cuda.synchronize(self.router.backbone.device)
