"""Systems over items: each video is decoded and encoded once, every system answers all of its questions."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

import torch
from rich.progress import Progress

from eval.controls import Shuffled, prompt_without_video, reordered
from eval.items import Item
from eval.journal import Journal
from eval.predictions import Prediction
from eval.prompts import Wording, usual_wording
from eval.ranks import Ranks
from eval.run_folder import Failure, Watched
from eval.watching import Watching
from routers import VideoRouter
from routers.answers import letters, parse_choice
from routers.backbones import SharedPrefix, merged_any
from routers.prompts import question_text
from routers.systems import CompressedVideo, Query, System
from routers.systems.looks import Looks
from routers.watched_video import WatchedVideo
from video.errors import VideoError

Scoring = Literal["likelihood", "generate"]


@dataclass(frozen=True)
class Trial:
    """A question to a system: at most `budget` tokens, and `cap` where any question might have that many."""

    item: Item
    system: System
    cap: int
    budget: int


class Runner:
    """Answers items with systems over one router's backbone.

    `scoring`: `likelihood` takes the option letter of highest logit (works with any base, also an untrained one);
    `generate` parses generated text.
    """

    def __init__(
        self,
        router: VideoRouter,
        scoring: Scoring,
        remembered_videos: int = 0,
        *,
        share_passes: bool = False,
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
        """
        self.router = router
        self.scoring = scoring
        self.share_passes = share_passes
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
        task = progress.add_task(" ".join(system.name for system in systems), total=len(items))
        cap = cap or max(budget for own in budgets.values() for budget in own)
        position = {item.id: index for index, item in enumerate(items)}
        journal = self.journal if keep else None
        own: list[Prediction] = []
        waiting: list[Trial] = []
        for place, (_, group) in enumerate(groupby(items, key=lambda item: item.video)):
            for item in group if self.ranks.owns(place) else ():
                for system in systems:
                    trial = Trial(item, system, cap, budgets[system.name][position[item.id]])
                    known = self._kept(trial, journal)
                    if known is None:
                        waiting.append(trial)
                    else:
                        own.append(known)
        progress.advance(task, len(items) - len({trial.item.id for trial in waiting}))
        videos = [list(group) for _, group in groupby(waiting, key=lambda trial: trial.item.video)]
        for questions, following in zip(videos, [*videos[1:], []], strict=True):
            for trial in [*questions[:1], *following[:1]]:
                self._watching.begin(trial.item.video)
            shared = {system.name: SharedPrefix() if self.share_passes else None for system in systems}
            for _, same in groupby(questions, key=lambda trial: trial.item.id):
                for trial in same:
                    own += self._answered(trial, shared[trial.system.name], journal)
                progress.advance(task)
        turn = {system.name: index for index, system in enumerate(systems)}
        return sorted(self.ranks.together(own), key=lambda made: (position[made.item], turn[made.system]))

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

    def _kept(self, trial: Trial, journal: Journal | None) -> Prediction | None:
        if journal is None:
            return None
        return journal.known(trial.system.name, trial.item.id, self.router.config.frames, trial.cap, trial.budget)

    def _answered(self, trial: Trial, shared: SharedPrefix | None, journal: Journal | None) -> list[Prediction]:
        """The answer; none where there is none to be had."""
        item = trial.item
        try:
            made = self._predict(trial, self.seen(item), shared)
        except (VideoError, ValueError, RuntimeError) as error:
            if not self.tolerant:
                raise
            told, frames = f"{type(error).__name__}: {error}", self.router.config.frames
            self.failures.append(
                Failure(
                    self.benchmark, item.id, item.video.name, self.model, trial.system.name, frames, trial.cap, told
                )
            )
            return []
        if journal is not None:
            journal.keep(made)
        return [made]

    def seen(self, item: Item) -> WatchedVideo:
        """The item's video, watched once for all questions that follow one another; what was sampled is noted in `watched`."""
        watched = self.watch(item)
        if item.video.name not in self.watched:
            sampled = watched.sampled
            self.watched[item.video.name] = Watched(
                self.benchmark, item.video.name, str(item.video), self.router.config.frames, list(sampled.indices),
                [round(second, 4) for second in sampled.seconds], sampled.duration,
            )  # fmt: skip
        return watched

    @torch.no_grad()
    def _predict(self, trial: Trial, watched: WatchedVideo, shared: SharedPrefix | None) -> Prediction:
        item, system, budget = trial.item, trial.system, trial.budget
        shown, meant = reordered(item) if isinstance(system, Shuffled) else (item, None)
        query = self.query(shown, watched)
        started = time.perf_counter()
        kept = system.compress(watched.all_tokens, query, budget)
        self._finish()
        routed = time.perf_counter()
        if system.budgeted:
            assert kept.tokens <= budget, f"{system.name} fed {kept.tokens} tokens on {item.id}, its budget is {budget}"
        text, choice, prefill, generate = self._answer(kept, query, shared)
        if meant is not None and choice is not None:
            choice = meant[choice]
        spans = kept.spans
        mark = "shared " if self.share_passes else ""
        return Prediction(
            benchmark=self.benchmark,
            item=item.id,
            video=item.video.name,
            group=item.group,
            model=self.model,
            system=system.name,
            sampled=self.router.config.frames,
            cap=trial.cap,
            budget=budget,
            tokens=kept.tokens,
            frames=[span.frame for span in spans],
            indices=[watched.sampled.indices[span.frame * watched.frames_per_patch] for span in spans],
            tokens_by_frame=[span.tokens for span in spans],
            relevance=None if kept.relevance is None else [round(float(score), 4) for score in kept.relevance],
            policy=kept.policy,
            prompt=self.wording.id,
            text=text,
            choice=choice,
            answer=item.answer,
            options=len(item.options),
            seconds_by_stage={
                "decode": watched.decode_seconds,
                "vision": watched.vision_seconds,
                f"{mark}route": routed - started,
                f"{mark}prefill": prefill,
                "generate": generate,
            },
        )

    def _answer(
        self, kept: CompressedVideo, query: Query, shared: SharedPrefix | None
    ) -> tuple[str, str | None, float, float]:
        """Text, choice, and the seconds of prefill (prompt included) and generation."""
        assert query.options is not None
        backbone = self.router.backbone
        started = time.perf_counter()
        text = question_text(query)
        if kept.tokens:
            prompt = backbone.embed_prompt(kept, text, query.seconds, query.between)
        else:
            prompt = prompt_without_video(backbone, "".join(query.between or ()) + text)
        built = time.perf_counter()
        if self.scoring == "generate":
            generated = backbone.generate(prompt, max_new_tokens=32, shared=shared)
            choice = parse_choice(generated.text, query.options)
            return generated.text, choice, built - started + generated.prefill_seconds, generated.generate_seconds
        names = letters(query.options)
        logits = backbone.next_token_logits(prompt, shared=shared)
        best = names[int(logits[[backbone.token_id(name) for name in names]].argmax())]
        return best, best, time.perf_counter() - started, 0.0

    def _finish(self) -> None:
        if self.router.backbone.device.type == "cuda":
            torch.cuda.synchronize(self.router.backbone.device)
