"""Pictures of random scenes with their labels: what sight is taught on. They pass through JPEG, as stored frames do."""

import io
from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from videorouter.miniature.geometry import GRID, PLACE_NAMES, PLACES
from videorouter.miniature.glyphs import GLYPHS
from videorouter.miniature.palette import BACKGROUNDS, COLOURS, may_meet
from videorouter.miniature.render import FRAMES_PER_TURN, render_scene
from videorouter.miniature.scenes import Scene
from videorouter.miniature.shapes import SHAPES

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "colour": tuple(COLOURS),
    "shape": SHAPES,
    "background": tuple(BACKGROUNDS),
}
NO_GLYPH = -100
"""Label of the centre cells, which hold no glyph; cross-entropy ignores it."""
FINEST, COARSEST = 95, 50
"""JPEG qualities between which a picture's own is drawn."""
NOISE = 4.0
"""Largest standard deviation of the noise added to a picture, in grey levels."""


@dataclass(frozen=True)
class Stills:
    """`frames` uint8 `[N, 112, 112, 3]`; `attributes` name -> class `[N]`; `glyphs` class of each cell `[N, 16]`."""

    frames: NDArray[np.uint8]
    attributes: dict[str, Tensor]
    glyphs: Tensor


def random_scene(random: Random) -> Scene:
    """One scene on its own: any colour that stands out, any shape, twelve different glyphs."""
    while True:
        background, colour = random.choice(ATTRIBUTES["background"]), random.choice(ATTRIBUTES["colour"])
        if may_meet(colour, background):
            break
    glyphs = tuple(random.sample(GLYPHS, len(PLACE_NAMES)))
    return Scene(background, colour, random.choice(SHAPES), glyphs, first=random.randrange(64), end=64)


def draw_stills(random: Random, count: int) -> Stills:
    """`count` pictures of random scenes at random moments of their motion, worn as encoding wears them."""
    scenes = [random_scene(random) for _ in range(count)]
    return Stills(
        frames=np.stack([worn(picture_of(scene, random), random) for scene in scenes]),
        attributes={
            name: torch.tensor([classes.index(getattr(scene, name)) for scene in scenes])
            for name, classes in ATTRIBUTES.items()
        },
        glyphs=torch.stack([glyph_labels(scene) for scene in scenes]),
    )


def picture_of(scene: Scene, random: Random) -> NDArray[np.uint8]:
    """The scene at a random moment: uint8 `[112, 112, 3]`."""
    *_, picture = render_scene(scene, random.randint(1, FRAMES_PER_TURN))
    return picture


def worn(picture: NDArray[np.uint8], random: Random) -> NDArray[np.uint8]:
    """A picture after noise and JPEG of random strength; same shape."""
    noise = np.random.default_rng(random.getrandbits(32)).normal(0, random.uniform(0, NOISE), picture.shape)
    noisy = np.clip(picture + noise, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noisy).save(file, "JPEG", quality=random.randint(COARSEST, FINEST))
    return np.asarray(Image.open(file))


def glyph_labels(scene: Scene) -> Tensor:
    """The glyph's class in each cell of the grid in raster order, `NO_GLYPH` in the centre: `[16]`."""
    labels = torch.full(GRID, NO_GLYPH)
    for (row, column), glyph in zip(PLACES.values(), scene.glyphs, strict=True):
        labels[row, column] = GLYPHS.index(glyph)
    return labels.flatten()
