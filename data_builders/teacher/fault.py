"""Whose fault a refusal is: an item's, or the run's, where one video after another is refused alike (ours).

The same refusal, or invalid replies of one shape, of the same kind of request about `VIDEOS` videos with no success of that kind
between is the run's. So are failures, once one has been tried for `--teacher.patience`: an endpoint may be busy. What names
moderation is an item's, until it is over half of the last `REMEMBERED` requests.
"""

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from videorouter.data_builders.teacher.doubts import Doubts
from videorouter.data_builders.teacher.errors import TeacherFailure, TeacherRefuses
from videorouter.data_builders.teacher.hints import what_to_change

Key = TypeVar("Key")

VIDEOS = 8
"""Distinct videos that are refused alike, one after another, until the run is taken to be at fault."""
REMEMBERED = 200
"""Requests of which over half must have met moderation until it is the run's."""
_DOUBTS = 1000
"""Most refusals that are looked back on."""
_VIDEOS_AT_WORK = 4096
"""Of how many (kind, video) it is known that refusals are their own: more than are worked on at a time."""


@dataclass(frozen=True)
class Asking:
    """A request on its way: the kind it is of, the video it is about, and how many pictures it carries.

    It `began` in monotonic seconds.
    """

    number: int
    kind: str
    video: str
    size: int
    began: float


@dataclass(frozen=True)
class Met:
    """What a request met in place of a good answer; `keys` find the bad replies that were paid for in the journal of `part`.

    The run is stopped for no streak of which none is `conclusive`.
    """

    kind: str
    video: str
    size: int
    shape: str
    reason: str
    keys: tuple[str, ...] = ()
    moderation: bool = False
    part: str = ""
    began: float = 0.0
    conclusive: bool = True


@dataclass
class Heard:
    """What the requests of one shard came to.

    By (kind, video) the most pictures of one that passed, by kind the most of one that was answered now, and what was met.
    """

    passed: dict[tuple[str, str], int] = field(default_factory=dict)
    answered: dict[str, int] = field(default_factory=dict)
    met: list[Met] = field(default_factory=list)

    def succeeded(self, asking: Asking, kept: bool) -> None:
        """A good answer came, or was `kept` from before."""
        _raise(self.passed, (asking.kind, asking.video), asking.size)
        if not kept:
            _raise(self.answered, asking.kind, asking.size)


class Streaks:
    """Counts refusals; one a process, picklable: a copy goes on by itself from what this one knows.

    A good answer ends the streaks of its kind, but for those of requests with more pictures than it had: a limit on pictures
    refuses large requests alone. What it clears is the videos' own from then on. One that is kept from before says nothing of
    the endpoint as it is, and speaks for its own video alone.
    """

    def __init__(self, videos: int | None = None, most: int = VIDEOS, noted: Doubts | None = None) -> None:
        """`videos` is how many the build has; at `most` the run is stopped, at 0 never. What is in doubt is `noted`."""
        self.videos, self.most, self.noted = videos, most, noted or Doubts()
        self.stopped: TeacherRefuses | None = None
        self.answered = False
        """Whether any good answer came."""
        self._begun = 0
        self._pending: dict[int, str] = {}
        self._open: list[Met] = []
        self._own: dict[tuple[str, str], int] = {}
        self._largest: dict[str, int] = {}
        self._asked: dict[str, set[str]] = {}
        self._recent: deque[Met | None] = deque(maxlen=REMEMBERED)
        self._trials: dict[tuple[str, str], set[int]] = {}

    @property
    def doubts(self) -> tuple[Met, ...]:
        """What may be the run's fault, as no good answer has come since; a run that ends early takes it back."""
        moderated = (met for met in self._recent if met is not None) if self._moderated else ()
        return (*self._open, *moderated)

    def began(self, kind: str, video: str, size: int) -> Asking:
        """A request is about to be sent. Raises `TeacherRefuses` where the run is stopped."""
        if self.stopped is not None:
            raise TeacherRefuses(*self.stopped.args)
        self._begun += 1
        self._pending[self._begun] = kind
        if self._is_small:
            self._asked.setdefault(kind, set()).add(video)
        return Asking(self._begun, kind, video, size, time.monotonic())

    def succeeded(self, asking: Asking, kept: bool = False) -> None:
        """A good answer came, or was `kept` from before."""
        self._recent.append(None)
        self._pass(asking.kind, asking.video, asking.size)
        if not kept:
            self._clear(asking.kind, asking.size)
            self._note()
        self.left(asking)

    def met(self, asking: Asking, met: Met, at_once: int) -> None:
        """No good answer came. Raises `TeacherRefuses` where that is the run's fault.

        A streak is judged once those have ended that were in flight when it was complete, the first `at_once` that wait:
        refusals come faster than answers.
        """
        self.left(asking)
        self._recent.append(met if met.moderation else None)
        if not met.moderation:
            self._meet(met, at_once)
        self._note()
        self._judge()

    def failing_since(self, met: Met) -> float | None:
        """When those began, in monotonic seconds, with which this one would complete a streak; None where it would not."""
        alike = self._streak(met, met)
        if met.video not in alike or not 0 < self.most <= len(alike):
            return None
        return min(one.began for one in (*self._open, met) if (one.kind, one.shape) == (met.kind, met.shape))

    def left(self, asking: Asking) -> None:
        """The request ended, or was given up."""
        self._pending.pop(asking.number, None)
        for awaited in self._trials.values():
            awaited.discard(asking.number)

    def replay(self, heard: Heard) -> None:
        """Count what another process heard about a shard, its good answers first. Raises `TeacherRefuses`."""
        for (kind, video), size in heard.passed.items():
            self._pass(kind, video, size)
        for kind, size in heard.answered.items():
            self._clear(kind, size)
        for kind, video in (*heard.passed, *((met.kind, met.video) for met in heard.met)):
            if self._is_small:
                self._asked.setdefault(kind, set()).add(video)
        for met in heard.met:
            if not met.moderation:
                self._meet(met, 0)
        self._note()
        self._judge()

    def finish(self) -> None:
        """At the end: raises `TeacherRefuses` for a complete streak, in a build of fewer videos for one of all of them."""
        self._trials = {trial: set() for trial in self._trials}
        self._judge()
        if not self._is_small:
            return
        for met in self._open:
            if met.size > self._largest.get(met.kind, -1) and self._streak(met) == self._asked[met.kind]:
                self._stop(met, len(self._asked[met.kind]))

    @property
    def _is_small(self) -> bool:
        return self.videos is not None and 0 < self.videos < self.most

    @property
    def _moderated(self) -> bool:
        return self.most > 0 and sum(met is not None for met in self._recent) > REMEMBERED // 2

    def _streak(self, like: Met, *more: Met) -> set[str]:
        """The videos that met the same, or would with `more`, where that is not known to be their own."""
        same = (met for met in (*self._open, *more) if (met.kind, met.shape) == (like.kind, like.shape))
        return {met.video for met in same if self._own.get((met.kind, met.video), -1) < met.size}

    def _pass(self, kind: str, video: str, size: int) -> None:
        """A request about `video` passed: what others of its kind and size meet is the video's own."""
        self._take_for_own(kind, video, size)
        _raise(self._largest, kind, size)

    def _clear(self, kind: str, size: int) -> None:
        """The endpoint answered a request just now."""
        self.answered = True
        cleared = [met for met in self._open if met.kind == kind and met.size <= size]
        if cleared:
            self._open = [met for met in self._open if met.kind != kind or met.size > size]
            for met in cleared:
                self._take_for_own(kind, met.video, met.size)
            self._drop_trials()

    def _take_for_own(self, kind: str, video: str, size: int) -> None:
        self._own[kind, video] = max(size, self._own.pop((kind, video), 0))
        if len(self._own) > _VIDEOS_AT_WORK:
            del self._own[next(iter(self._own))]

    def _meet(self, met: Met, at_once: int) -> None:
        self._open = [*self._open[1 - _DOUBTS :], met]
        if met.conclusive and 0 < self.most <= len(self._streak(met)):
            in_flight = islice(self._pending.items(), at_once)
            awaited = {number for number, kind in in_flight if kind == met.kind}
            self._trials.setdefault((met.kind, met.shape), awaited)

    def _note(self) -> None:
        self.noted.note((met.part, met.keys) for met in self.doubts)

    def _drop_trials(self) -> None:
        """Forget the trials of streaks that were broken."""
        first = {(met.kind, met.shape): met for met in self._open}
        self._trials = {
            trial: awaited
            for trial, awaited in self._trials.items()
            if trial in first and len(self._streak(first[trial])) >= self.most
        }

    def _judge(self) -> None:
        if self.stopped is not None:
            return
        if self._moderated and (moderated := [met for met in self._recent if met is not None]):
            self._stop(moderated[-1], len({met.video for met in moderated}))
        for met in reversed(self._open):
            videos = len(self._streak(met)) if self._trials.get((met.kind, met.shape)) == set() else 0
            if 0 < self.most <= videos:
                self._stop(met, videos)

    def _stop(self, met: Met, videos: int) -> None:
        if met.moderation:
            told = f"over half of the last {REMEMBERED} requests met moderation, about {_counted(videos)}"
        else:
            told = f"{met.kind} requests about {_counted(videos)} met the same, and none was answered between"
        advice = what_to_change(met.reason)
        refuses = "fails on" if met.shape == TeacherFailure.verdict else "refuses"
        self.stopped = TeacherRefuses(
            f"the endpoint {refuses} what this run asks: {told}: {met.reason[:1000]}: {advice}; then run the same command again: "
            "it asks anew, good answers are kept (--refused_in_a_row 0 puts such items aside instead)"
        )
        raise self.stopped


def keys_of(doubts: Iterable[Met]) -> list[str]:
    """Where the bad replies lie in the journal."""
    return [key for met in doubts for key in met.keys]


def _raise(most: dict[Key, int], key: Key, size: int) -> None:
    """Let `most` hold the largest size of `key`."""
    most[key] = max(size, most.get(key, 0))


def _counted(videos: int) -> str:
    return "1 video" if videos == 1 else f"{videos} videos"
