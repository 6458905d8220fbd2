"""Stage one: the vision tower and projector learn to say, in every token, the frame's cue and the cell's own glyph.

They learn from pictures of random scenes that passed through noise and JPEG, as stored frames do. The tower has no position
embeddings, so a token cannot know its place: it is a function of its own cell's patches and of the bag of all patches. Two
glyphs that change places within a pooled cell leave the pooled token exactly as it was.
"""

import io
from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.progress import Progress
from torch import Tensor, nn
from torch.nn import functional
from transformers import InternVLForConditionalGeneration

from videorouter.miniature.pretraining.optimisation import optimisers, schedule_factor, step
from videorouter.miniature.world.frame import BACKGROUNDS, COLOURS, GLYPHS, GRID, PLACE_NAMES, PLACES, SHAPES, may_meet
from videorouter.miniature.world.render import FRAMES_PER_TURN, render_scene
from videorouter.miniature.world.scenes import Scene
from videorouter.routers.backbones.pixels import IMAGENET

TOKEN_SCALE = 1.0
"""Root mean square of a projected token when this stage is over."""
NOISE = 0.7
"""Standard deviation of the noise through which the readings must work, beside tokens of root mean square 1.

Without it the glyph kept an eighth of the tokens' variance, and language drowned it: with every glyph token attended at
0.998, none was named.
"""
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "colour": tuple(COLOURS),
    "shape": SHAPES,
    "background": tuple(BACKGROUNDS),
}
NO_GLYPH = -100
"""Label of the centre cells, which hold no glyph; cross-entropy ignores it."""
FINEST, COARSEST = 95, 50
"""JPEG qualities between which a picture's own is drawn."""
PICTURE_NOISE = 4.0
"""Largest standard deviation of the noise added to a picture, in grey levels."""


def train_vision(
    model: InternVLForConditionalGeneration, random: Random, progress: Progress, *, steps: int, batch: int, rate: float
) -> dict[str, float]:
    """Train tower and projector in place; accuracies of the readings on fresh pictures."""
    heads = VisionHeads(model.lm_head.in_features)
    inner = model.model
    seeing = nn.ModuleList([inner.vision_tower, inner.multi_modal_projector, heads]).train()
    optimiser = optimisers(seeing, rate)
    task = progress.add_task("sight", total=steps, note="")
    for number in range(steps):
        pictures = draw_pictures(random, batch)
        with torch.autocast(model.device.type, torch.bfloat16):
            tokens = encode(model, pictures.frames)
        clear = tokens.float() / tokens.float().pow(2).mean().sqrt()
        losses = heads.losses(clear + NOISE * torch.randn_like(clear), pictures)
        step(optimiser, seeing, sum(losses.values(), torch.zeros(())), schedule_factor(number, steps))
        note = " ".join(f"{name} {loss.item():.3f}" for name, loss in losses.items())
        progress.update(task, advance=1, note=note)
    seeing.eval()
    test = draw_pictures(random, 256)
    with torch.no_grad():
        tokens = encode(model, test.frames)
        scale = TOKEN_SCALE / tokens.pow(2).mean().sqrt()
        accuracies = heads.accuracies(tokens * scale, test)
        inner.multi_modal_projector.linear_2.weight.mul_(scale)
        inner.multi_modal_projector.linear_2.bias.mul_(scale)
    return accuracies


def encode(model: InternVLForConditionalGeneration, frames: object) -> Tensor:
    """Projected tokens `[N, 16, D]` of uint8 frames `[N, 112, 112, 3]`."""
    return model.get_image_features(pixel_values=IMAGENET(torch.as_tensor(frames))).pooler_output


@dataclass(frozen=True)
class Pictures:
    """`frames` uint8 `[N, 112, 112, 3]`; `attributes` name -> class `[N]`; `glyphs` class of each cell `[N, 16]`."""

    frames: NDArray[np.uint8]
    attributes: dict[str, Tensor]
    glyphs: Tensor


class VisionHeads(nn.Module):
    """Linear readings of a token `[..., D]`; thrown away when vision is trained."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attributes = nn.ModuleDict({name: nn.Linear(width, len(classes)) for name, classes in ATTRIBUTES.items()})
        self.glyph = nn.Linear(width, len(GLYPHS))

    def losses(self, tokens: Tensor, pictures: Pictures) -> dict[str, Tensor]:
        """Cross-entropy of each reading over `[N, 16, D]` tokens; every token tells the frame's attributes."""
        cells = tokens.shape[1]
        losses = {
            name: functional.cross_entropy(
                head(tokens).flatten(0, 1), pictures.attributes[name].repeat_interleave(cells)
            )
            for name, head in self.attributes.items()
        }
        losses["glyph"] = functional.cross_entropy(self.glyph(tokens).flatten(0, 1), pictures.glyphs.flatten())
        return losses

    @torch.no_grad()
    def accuracies(self, tokens: Tensor, pictures: Pictures) -> dict[str, float]:
        """Share of right readings over all tokens."""
        rights = {
            name: (head(tokens).argmax(-1) == pictures.attributes[name][:, None]).float().mean().item()
            for name, head in self.attributes.items()
        }
        ring = pictures.glyphs >= 0
        rights["glyph"] = (self.glyph(tokens).argmax(-1) == pictures.glyphs)[ring].float().mean().item()
        return rights


def draw_pictures(random: Random, count: int) -> Pictures:
    """`count` pictures of random scenes at random moments of their motion, degraded as encoding degrades them."""
    scenes = [random_scene(random) for _ in range(count)]
    return Pictures(
        frames=np.stack([degraded(picture_of(scene, random), random) for scene in scenes]),
        attributes={
            name: torch.tensor([classes.index(getattr(scene, name)) for scene in scenes])
            for name, classes in ATTRIBUTES.items()
        },
        glyphs=torch.stack([_glyph_labels(scene) for scene in scenes]),
    )


def picture_of(scene: Scene, random: Random) -> NDArray[np.uint8]:
    """The scene at a random moment: uint8 `[112, 112, 3]`."""
    *_, picture = render_scene(scene, random.randint(1, FRAMES_PER_TURN))
    return picture


def degraded(picture: NDArray[np.uint8], random: Random) -> NDArray[np.uint8]:
    """A picture after noise and JPEG of random strength; same shape."""
    noise = np.random.default_rng(random.getrandbits(32)).normal(0, random.uniform(0, PICTURE_NOISE), picture.shape)
    noisy = np.clip(picture + noise, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noisy).save(file, "JPEG", quality=random.randint(COARSEST, FINEST))
    return np.asarray(Image.open(file))


def random_scene(random: Random) -> Scene:
    """One scene on its own: any colour that stands out, any shape, twelve different glyphs."""
    while True:
        background, colour = random.choice(ATTRIBUTES["background"]), random.choice(ATTRIBUTES["colour"])
        if may_meet(colour, background):
            break
    glyphs = tuple(random.sample(GLYPHS, len(PLACE_NAMES)))
    return Scene(background, colour, random.choice(SHAPES), glyphs, first=random.randrange(64), end=64)


def _glyph_labels(scene: Scene) -> Tensor:
    """The glyph's class in each cell of the grid in raster order, `NO_GLYPH` in the centre: `[16]`."""
    labels = torch.full(GRID, NO_GLYPH)
    for (row, column), glyph in zip(PLACES.values(), scene.glyphs, strict=True):
        labels[row, column] = GLYPHS.index(glyph)
    return labels.flatten()
