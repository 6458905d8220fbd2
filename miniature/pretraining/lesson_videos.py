"""The short videos that language is taught on, cast from a bank of encoded scenes.

Vision is frozen when language starts, so every picture is encoded once.
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise, product
from random import Random

import numpy as np
import torch
from rich.progress import Progress
from torch import Tensor
from transformers import InternVLForConditionalGeneration

from videorouter.miniature.pretraining.vision import degraded, encode, picture_of, random_scene
from videorouter.miniature.world.frame import BACKGROUNDS, COLOURS, SHAPES, may_meet
from videorouter.miniature.world.scenes import MOST_REPEATS, UNITS, Scene, Script, arrange, stands_out, write_script

BATCH = 128
NOISE = 0.1
"""Standard deviation of the noise on a token whenever it is used, beside a token's root mean square of 1."""
Look = tuple[str, str, str]
"""Background, colour and shape."""


@dataclass(frozen=True)
class LessonVideo:
    """One frame a unit: `pictures` index the scene bank, `scene_of` the script's scenes."""

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


@dataclass(frozen=True)
class SceneBank:
    """`tokens` float16 `[N, 16, D]` of N pictures, and where each look with its twelve glyphs lies among them."""

    tokens: Tensor
    glyphs: tuple[tuple[str, ...], ...]
    places: dict[Look, tuple[int, ...]]

    def cast(self, scene: Scene, random: Random) -> tuple[Scene, int]:
        """The scene with the glyphs of a picture that has its look, and that picture's index."""
        index = random.choice(self.places[scene.background, scene.colour, scene.shape])
        return replace(scene, glyphs=self.glyphs[index]), index

    def frames(self, indices: list[int]) -> Tensor:
        """Tokens `[T, 16, D]`, float32, with fresh noise."""
        tokens = self.tokens[indices].float()
        return tokens + NOISE * torch.randn_like(tokens)


def build_scene_bank(
    model: InternVLForConditionalGeneration, random: Random, progress: Progress, *, pictures_per_look: int
) -> SceneBank:
    """Draw and encode `pictures_per_look` pictures of every look there can be."""
    looks = [look for look in product(BACKGROUNDS, COLOURS, SHAPES) if may_meet(look[1], look[0])]
    scenes = [
        replace(random_scene(random), background=background, colour=colour, shape=shape)
        for background, colour, shape in looks
        for _ in range(pictures_per_look)
    ]
    places: dict[Look, list[int]] = defaultdict(list)
    for index, scene in enumerate(scenes):
        places[scene.background, scene.colour, scene.shape].append(index)
    task = progress.add_task("scenery", total=len(scenes), note="")
    tokens = []
    for start in range(0, len(scenes), BATCH):
        some = scenes[start : start + BATCH]
        frames = np.stack([degraded(picture_of(scene, random), random) for scene in some])
        with torch.no_grad():
            tokens.append(encode(model, frames).half())
        progress.update(task, advance=len(some))
    return SceneBank(
        torch.cat(tokens),
        tuple(scene.glyphs for scene in scenes),
        {look: tuple(found) for look, found in places.items()},
    )


def draw_video(random: Random, bank: SceneBank, frames: int) -> LessonVideo:
    """A video of `frames` units, its scenes cast from the bank. 64 units are the world's own scripts."""
    script = write_script(random, 2 * UNITS, 8) if frames == UNITS else _short_script(random, frames)
    cast = [bank.cast(scene, random) for scene in script.scenes]
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
