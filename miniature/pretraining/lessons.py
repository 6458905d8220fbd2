"""What language is taught on: short videos of cast scenes, and everything asked about one of them, with its answer."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, product
from random import Random
from typing import Final

from videorouter.miniature.geometry import PLACE_NAMES, cell_of
from videorouter.miniature.palette import BACKGROUNDS, COLOURS
from videorouter.miniature.pretraining.lesson_texts import COMPARE, DESCRIBE, PICK, PRESENT, RECITE, TALLY
from videorouter.miniature.pretraining.paraphrase import rephrased
from videorouter.miniature.pretraining.scenery import Scenery
from videorouter.miniature.questions import MAKERS, Riddle
from videorouter.miniature.scenes import MOST_REPEATS, UNITS, Scene, Script, arrange, stands_out, write_script
from videorouter.miniature.shapes import SHAPES
from videorouter.miniature.wordings import KINDS, Asked, name_of, parse_figure
from videorouter.routers.answers import letters
from videorouter.routers.prompts import question_text
from videorouter.routers.systems.query import Query

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


@dataclass(frozen=True)
class LessonVideo:
    """One frame a unit: `pictures` index the scenery, `scene_of` the script's scenes."""

    script: Script
    pictures: tuple[int, ...]
    scene_of: tuple[int, ...]

    @property
    def fresh(self) -> list[bool]:
        """Whether each frame is the first of its scene."""
        return [True, *(a != b for a, b in pairwise(self.scene_of))]

    def first_with_figure(self, frame: int) -> int:
        """The first scene that shows this frame's coloured shape."""
        figures = [scene.figure for scene in self.script.scenes]
        return figures.index(figures[self.scene_of[frame]])

    @property
    def occurrences(self) -> list[int]:
        """For each frame, how many earlier scenes showed its coloured shape."""
        figures = [scene.figure for scene in self.script.scenes]
        return [figures[:scene].count(figures[scene]) for scene in self.scene_of]


def draw_video(random: Random, scenery: Scenery, frames: int) -> LessonVideo:
    """A video of `frames` units, its scenes cast from the scenery. 64 units are the world's own scripts."""
    script = write_script(random, 2 * UNITS, 8) if frames == UNITS else _short_script(random, frames)
    cast = [scenery.cast(scene, random) for scene in script.scenes]
    scene_of = [number for number, scene in enumerate(script.scenes) for _ in range(scene.first, scene.end)]
    return LessonVideo(
        Script(tuple(scene for scene, _ in cast), script.total, script.fps),
        tuple(cast[number][1] for number in scene_of),
        tuple(scene_of),
    )


def _short_script(random: Random, frames: int) -> Script:
    """As the world's scripts but of fewer units; at least one coloured shape is shown only once."""
    count = random.randint((frames + 1) // 2, frames)
    while True:
        repeats: list[int] = []
        while sum(repeats) < 0.5 * count - 1:
            repeats.append(random.randint(2, max(2, min(MOST_REPEATS, count // 3))))
        repeats += [1] * (count - sum(repeats))
        chosen = random.sample(list(product(COLOURS, SHAPES)), len(repeats))
        figures = [figure for figure, times in zip(chosen, repeats, strict=True) for _ in range(times)]
        leader = random.choice(list(BACKGROUNDS))
        grounds = [leader if random.random() < 0.15 else random.choice(list(BACKGROUNDS)) for _ in range(count)]
        try:
            figures = arrange(random, figures, lambda figure, position: True, tries=20)
            grounds = arrange(random, grounds, partial(stands_out, [colour for colour, _ in figures]), tries=20)
            break
        except ValueError:
            continue
    cuts = sorted(random.sample(range(1, frames), count - 1))
    scenes = [
        Scene(ground, colour, shape, (), first, end)
        for ground, (colour, shape), (first, end) in zip(grounds, figures, pairwise([0, *cuts, frames]), strict=True)
    ]
    return Script(tuple(scenes), 2 * UNITS, 8)


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
        maker: Callable[[Random, LessonVideo], Lesson | None] = partial(_asked, kinds=_HARD if hard else tuple(KINDS))
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


def _asked(random: Random, video: LessonVideo, kinds: Sequence[str]) -> Lesson | None:
    """A question of the world with its options; the answer is a letter."""
    riddle = _riddle(random, video, kinds)
    if riddle is None:
        return None
    query = Query(rephrased(random, riddle), riddle.options)
    pointers = _pointers(riddle.asked, video)
    if riddle.asked.kind == "never_shown":
        pointers += [
            Pointer(_showing(figure, video), option=number)
            for number, option in enumerate(riddle.options)
            if (figure := parse_figure(option)) is not None
        ]
    return _chosen(riddle.asked.kind, query, riddle.options.index(riddle.answer), pointers)


def _chosen(kind: str, query: Query, choice: int, pointers: Sequence[Pointer] = ()) -> Lesson:
    assert query.options is not None
    answer = ((letters(query.options)[choice], True),)
    return Lesson(kind, question_text(query), query.question, answer, tuple(pointers), query.options, ((0, choice),))


def _open(random: Random, video: LessonVideo) -> Lesson | None:
    """A question of the world without options; the answer is its text."""
    riddle = _riddle(random, video)
    if riddle is None or riddle.asked.kind == "never_shown":
        return None
    text = rephrased(random, riddle)
    return Lesson(
        f"open {riddle.asked.kind}", text, text, ((riddle.answer, True),), tuple(_pointers(riddle.asked, video))
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
    riddle = _riddle(random, video)
    if riddle is None:
        return None
    wanted = random.choice(riddle.options)
    return _chosen("pick", Query(PICK.format(text=wanted), riddle.options), riddle.options.index(wanted))


def _recite(random: Random, video: LessonVideo) -> Lesson | None:
    """The letter of every option, in another order."""
    riddle = _riddle(random, video)
    if riddle is None:
        return None
    query = Query(RECITE, riddle.options)
    order = random.sample(range(len(riddle.options)), len(riddle.options))
    names = letters(riddle.options)
    pieces = [piece for number in order for piece in ((f" {riddle.options[number]}", False), (names[number], True))]
    choices = tuple((2 * turn + 1, number) for turn, number in enumerate(order))
    return Lesson("recite", question_text(query), query.question, tuple(pieces), (), riddle.options, choices)


_HARD = (*KINDS, *3 * ("count_cue",), *2 * ("glyph_by_background",), "top_background")
_DRILLS = (_open, _open, _describe, _describe, _describe, _present, _pick, _recite)


def _riddle(random: Random, video: LessonVideo, kinds: Sequence[str] = tuple(KINDS)) -> Riddle | None:
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


def _pointers(asked: Asked, video: LessonVideo) -> list[Pointer]:
    """The frames a question of the world is about, and the cell where it is about one."""
    frames = _frames_asked(asked, video)
    cell = None
    if "place" in asked.slots:
        cell = cell_of(asked.slots["place"])
    elif "glyph" in asked.slots:
        scene = video.script.scenes[video.scene_of[frames[0]]]
        cell = cell_of(PLACE_NAMES[scene.glyphs.index(asked.slots["glyph"])])
    return list(_asked_and_answering(frames, cell))


def _asked_and_answering(frames: tuple[int, ...], cell: int | None = None) -> tuple[Pointer, ...]:
    return Pointer(frames, cell), Pointer(frames, cell, piece=0)


def _frames_asked(asked: Asked, video: LessonVideo) -> tuple[int, ...]:
    if asked.kind == "glyph_by_background":
        wanted = (asked.slots["background"], asked.slots["shape"])
        return tuple(
            frame
            for frame, of in enumerate(video.scene_of)
            if (video.script.scenes[of].background, video.script.scenes[of].shape) == wanted
        )
    return _showing(asked.figure, video) if "colour" in asked.slots else tuple(range(len(video.scene_of)))


def _showing(figure: tuple[str, str], video: LessonVideo) -> tuple[int, ...]:
    return tuple(frame for frame, of in enumerate(video.scene_of) if video.script.scenes[of].figure == figure)
