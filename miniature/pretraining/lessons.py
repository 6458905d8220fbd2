"""What language is taught: everything that is asked about one of the short videos, with its answer and where to look for it."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from random import Random
from typing import Final

from videorouter.miniature.pretraining.lesson_videos import LessonVideo
from videorouter.miniature.pretraining.lesson_wordings import COMPARE, DESCRIBE, PICK, PRESENT, RECITE, TALLY, rephrased
from videorouter.miniature.world.frame import BACKGROUNDS, COLOURS, PLACE_NAMES, SHAPES, cell_of
from videorouter.miniature.world.questions import MAKERS, Question
from videorouter.miniature.world.scenes import Scene
from videorouter.miniature.world.wordings import KINDS, Intent, name_of, parse_figure
from videorouter.routers.systems.query import Query, letters, question_text

PLACES_DESCRIBED: Final = 6
FIGURES_TALLIED: Final = 8
PAIRS_COMPARED: Final = 6
SURVEYING: Final = ("top_background", "open top_background", "compare")
COUNTING: Final = ("count_cue", "open count_cue", "tally", "present")
Answer = tuple[tuple[str, bool], ...]
"""Pieces of text, and whether each is to be learned (the other pieces are given)."""


@dataclass(frozen=True)
class Pointer:
    """What a reader should look at: `cell` (raster index) of `frames`, all cells where None.

    It looks before it says piece number `piece` of the answer, or when it has read `option`, or, where both are None, the
    question. Without `frames` there is nothing to see, and it looks at the first token of all.
    """

    frames: tuple[int, ...]
    cell: int | None = None
    piece: int | None = None
    option: int | None = None


@dataclass(frozen=True)
class Lesson:
    """`text` follows the frames and begins with `question`.

    `choices` are the pieces of the answer that name an option's letter, each with that option's number.
    """

    kind: str
    text: str
    question: str
    answer: Answer
    pointers: tuple[Pointer, ...] = ()
    options: tuple[str, ...] = ()
    choices: tuple[tuple[int, int], ...] = ()

    @property
    def counts(self) -> bool:
        """Whether its answer is a number of scenes."""
        return self.kind in COUNTING

    @property
    def surveys(self) -> bool:
        """Whether it asks for shares of the whole video."""
        return self.kind in SURVEYING


def lessons(
    random: Random,
    video: LessonVideo,
    count: int,
    drills: float,
    tallies: float = 0.0,
    comparisons: float = 0.0,
    hard: bool = False,
) -> Iterator[Lesson]:
    """`count` lessons about a video.

    A share `drills` of them are drills, of these a share `tallies` tallies, of these a share `comparisons` compare
    backgrounds; the others are questions as the world asks them, where `hard` more of the kinds that are learned late.
    """
    made = 0
    while made < count:
        maker: Callable[[Random, LessonVideo], Lesson | None] = partial(
            _multiple_choice, kinds=_HARD if hard else tuple(KINDS)
        )
        if random.random() < drills:
            maker = random.choice(_DRILLS)
            if tallies and random.random() < tallies:
                maker = partial(_tally, evenly=hard)
                if comparisons and random.random() < comparisons:
                    maker = _compare
        lesson = maker(random, video)
        if lesson is not None:
            made += 1
            yield lesson


def _multiple_choice(random: Random, video: LessonVideo, kinds: Sequence[str]) -> Lesson | None:
    """A question of the world with its options; the answer is a letter."""
    question = _question(random, video, kinds)
    if question is None:
        return None
    query = Query(rephrased(random, question), question.options)
    pointers = _pointers(question.intent, video)
    if question.intent.kind == "never_shown":
        pointers += [
            Pointer(_showing(figure, video), option=number)
            for number, option in enumerate(question.options)
            if (figure := parse_figure(option)) is not None
        ]
    return _chosen(question.intent.kind, query, question.options.index(question.answer), pointers)


def _chosen(kind: str, query: Query, choice: int, pointers: Sequence[Pointer] = ()) -> Lesson:
    assert query.options is not None
    answer = ((letters(query.options)[choice], True),)
    return Lesson(kind, question_text(query), query.question, answer, tuple(pointers), query.options, ((0, choice),))


def _open(random: Random, video: LessonVideo) -> Lesson | None:
    """A question of the world without options; the answer is its text."""
    question = _question(random, video)
    if question is None or question.intent.kind == "never_shown":
        return None
    text = rephrased(random, question)
    return Lesson(
        f"open {question.intent.kind}", text, text, ((question.answer, True),), tuple(_pointers(question.intent, video))
    )


def _describe(random: Random, video: LessonVideo) -> Lesson | None:
    """What stands at several places of one scene, or where several glyphs stand."""
    template = random.choice(DESCRIBE)
    by_figure = "{colour}" in template
    cue: Callable[[Scene], object] = (lambda s: s.figure) if by_figure else (lambda s: (s.background, s.shape))
    shown = Counter(map(cue, video.script.scenes))
    once = [number for number, scene in enumerate(video.script.scenes) if shown[cue(scene)] == 1]
    if not once:
        return None
    number = random.choice(once)
    scene = video.script.scenes[number]
    frames = tuple(frame for frame, of in enumerate(video.scene_of) if of == number)
    text = template.format(colour=scene.colour, shape=scene.shape, background=scene.background)
    pieces = [(f"{scene.colour} {scene.shape}, {scene.background}", True)]
    pointers = [Pointer(frames)]
    by_place = random.random() < 0.5
    for place in random.sample(PLACE_NAMES, PLACES_DESCRIBED):
        given, sought = (place, scene.glyph_at(place)) if by_place else (scene.glyph_at(place), place)
        pieces += [(f", {given}:", False), (f" {sought}", True)]
        pointers.append(Pointer(frames, cell_of(place), piece=len(pieces) - 1))
    return Lesson("describe" if by_place else "locate", text, text, tuple(pieces), tuple(pointers))


def _present(random: Random, video: LessonVideo) -> Lesson:
    """Whether a coloured shape is shown at all."""
    shown = [scene.figure for scene in video.script.scenes]
    wanted = random.random() < 0.5
    figure = random.choice(shown)
    while not wanted and figure in shown:
        figure = (random.choice(list(COLOURS)), random.choice(SHAPES))
    text = PRESENT.format(colour=figure[0], shape=figure[1])
    return Lesson(
        "present", text, text, (("yes" if wanted else "no", True),), _asked_and_answering(_showing(figure, video))
    )


def _tally(random: Random, video: LessonVideo, evenly: bool) -> Lesson:
    """How many scenes show each of several coloured shapes, some of which none does.

    `evenly`: of the shown ones every number of scenes is as likely as any other; most are shown once.
    """
    scenes = Counter(scene.figure for scene in video.script.scenes)
    shown = random.sample(sorted(scenes), min(len(scenes), FIGURES_TALLIED // 2))
    if evenly:
        numbers = sorted(set(scenes.values()))
        drawn = (random.choice(numbers) for _ in shown)
        shown = sorted({random.choice(sorted(f for f, times in scenes.items() if times == n)) for n in drawn})
    absent = random.sample(sorted(set(product(COLOURS, SHAPES)) - set(scenes)), FIGURES_TALLIED - len(shown))
    pieces: list[tuple[str, bool]] = []
    pointers = []
    for figure in random.sample([*shown, *absent], FIGURES_TALLIED):
        pieces += [(f"{', ' if pieces else ''}{name_of(figure)}:", False), (f" {scenes[figure]}", True)]
        pointers.append(Pointer(_showing(figure, video), piece=len(pieces) - 1))
    return Lesson("tally", TALLY, TALLY, tuple(pieces), tuple(pointers))


def _compare(random: Random, video: LessonVideo) -> Lesson | None:
    """Of several pairs of backgrounds the one that is shown more, in scenes and in time."""
    scenes = Counter(scene.background for scene in video.script.scenes)
    frames = Counter(video.script.scenes[number].background for number in video.scene_of)
    pairs = [(a, b) for a in BACKGROUNDS for b in BACKGROUNDS if scenes[a] > scenes[b] and frames[a] > frames[b]]
    if not pairs:
        return None
    pieces: list[tuple[str, bool]] = []
    pointers = []
    for more, less in random.sample(pairs, min(len(pairs), PAIRS_COMPARED)):
        first, second = random.sample((more, less), 2)
        pieces += [(f"{', ' if pieces else ''}{first}, {second}:", False), (f" {more}", True)]
        pointers.append(Pointer(tuple(range(len(video.scene_of))), piece=len(pieces) - 1))
    return Lesson("compare", COMPARE, COMPARE, tuple(pieces), tuple(pointers))


def _pick(random: Random, video: LessonVideo) -> Lesson | None:
    """Which letter stands before a given option: the frames play no part."""
    question = _question(random, video)
    if question is None:
        return None
    wanted = random.choice(question.options)
    return _chosen("pick", Query(PICK.format(text=wanted), question.options), question.options.index(wanted))


def _recite(random: Random, video: LessonVideo) -> Lesson | None:
    """The letter of every option, in another order."""
    question = _question(random, video)
    if question is None:
        return None
    query = Query(RECITE, question.options)
    order = random.sample(range(len(question.options)), len(question.options))
    names = letters(question.options)
    pieces = [piece for number in order for piece in ((f" {question.options[number]}", False), (names[number], True))]
    choices = tuple((2 * turn + 1, number) for turn, number in enumerate(order))
    return Lesson("recite", question_text(query), query.question, tuple(pieces), (), question.options, choices)


_HARD = (*KINDS, *3 * ("count_cue",), *2 * ("glyph_by_background",), "top_background")
_DRILLS = (_open, _open, _describe, _describe, _describe, _present, _pick, _recite)


def _question(random: Random, video: LessonVideo, kinds: Sequence[str] = tuple(KINDS)) -> Question | None:
    kind = random.choice(kinds)
    if kind == "top_background":
        scenes, frames = (
            Counter(grounds).most_common(2)
            for grounds in (
                [scene.background for scene in video.script.scenes],
                [video.script.scenes[number].background for number in video.scene_of],
            )
        )
        clear = len(scenes) == 2 and scenes[0][1] > scenes[1][1] and frames[0][1] > frames[1][1]
        if not clear or scenes[0][0] != frames[0][0]:
            return None
    try:
        return MAKERS[kind](video.script, random, "train")
    except (IndexError, ValueError):
        return None  # a short video may hold nothing of this kind to ask about


def _pointers(intent: Intent, video: LessonVideo) -> list[Pointer]:
    """The frames a question of the world is about, and the cell where it is about one."""
    frames = _frames_about(intent, video)
    cell = None
    if "place" in intent.slots:
        cell = cell_of(intent.slots["place"])
    elif "glyph" in intent.slots:
        scene = video.script.scenes[video.scene_of[frames[0]]]
        cell = cell_of(PLACE_NAMES[scene.glyphs.index(intent.slots["glyph"])])
    return list(_asked_and_answering(frames, cell))


def _asked_and_answering(frames: tuple[int, ...], cell: int | None = None) -> tuple[Pointer, ...]:
    return Pointer(frames, cell), Pointer(frames, cell, piece=0)


def _frames_about(intent: Intent, video: LessonVideo) -> tuple[int, ...]:
    if intent.kind == "glyph_by_background":
        wanted = (intent.slots["background"], intent.slots["shape"])
        return tuple(
            frame
            for frame, of in enumerate(video.scene_of)
            if (video.script.scenes[of].background, video.script.scenes[of].shape) == wanted
        )
    return _showing(intent.figure, video) if "colour" in intent.slots else tuple(range(len(video.scene_of)))


def _showing(figure: tuple[str, str], video: LessonVideo) -> tuple[int, ...]:
    return tuple(frame for frame, of in enumerate(video.scene_of) if video.script.scenes[of].figure == figure)
