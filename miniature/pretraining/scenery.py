"""A stock of encoded scenes: sight is frozen when language starts, so every picture is looked at once."""

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import product
from random import Random

import numpy as np
import torch
from rich.progress import Progress
from torch import Tensor
from transformers import InternVLForConditionalGeneration

from videorouter.miniature.palette import BACKGROUNDS, COLOURS, may_meet
from videorouter.miniature.pretraining.sight import see
from videorouter.miniature.pretraining.stills import picture_of, random_scene, worn
from videorouter.miniature.scenes import Scene
from videorouter.miniature.shapes import SHAPES

AT_ONCE = 128
NOISE = 0.1
"""Standard deviation of the noise on a token whenever it is used, beside a token's root mean square of 1."""
Look = tuple[str, str, str]
"""Background, colour and shape."""


@dataclass(frozen=True)
class Scenery:
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


def build_scenery(
    model: InternVLForConditionalGeneration, random: Random, progress: Progress, *, pictures_per_look: int
) -> Scenery:
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
    for start in range(0, len(scenes), AT_ONCE):
        some = scenes[start : start + AT_ONCE]
        frames = np.stack([worn(picture_of(scene, random), random) for scene in some])
        with torch.no_grad():
            tokens.append(see(model, frames).half())
        progress.update(task, advance=len(some))
    return Scenery(
        torch.cat(tokens),
        tuple(scene.glyphs for scene in scenes),
        {look: tuple(found) for look, found in places.items()},
    )
