"""Stage one: the vision tower and projector learn to say, in every token, the frame's cue and the cell's own glyph.

The tower has no position embeddings, so a token cannot know its place: it is a function of its own cell's patches and of
the bag of all patches. Two glyphs that change places within a pooled cell leave the pooled token exactly as it was.
"""

from random import Random

import torch
from rich.progress import Progress
from torch import Tensor, nn
from torch.nn import functional
from transformers import InternVLForConditionalGeneration

from videorouter.miniature.glyphs import GLYPHS
from videorouter.miniature.pretraining.optimisation import optimisers, schedule_factor, step
from videorouter.miniature.pretraining.stills import ATTRIBUTES, Stills, draw_stills
from videorouter.routers.backbones.pixels import IMAGENET

TOKEN_SCALE = 1.0
"""Root mean square of a projected token when this stage is over."""
NOISE = 0.7
"""Standard deviation of the noise through which the readings must work, beside tokens of root mean square 1.

Without it the glyph kept an eighth of the tokens' variance, and language drowned it: with every glyph token attended at
0.998, none was named.
"""


class SightHeads(nn.Module):
    """Linear readings of a token `[..., D]`; thrown away when sight is trained."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attributes = nn.ModuleDict({name: nn.Linear(width, len(classes)) for name, classes in ATTRIBUTES.items()})
        self.glyph = nn.Linear(width, len(GLYPHS))

    def losses(self, tokens: Tensor, stills: Stills) -> dict[str, Tensor]:
        """Cross-entropy of each reading over `[N, 16, D]` tokens; every token tells the frame's attributes."""
        cells = tokens.shape[1]
        losses = {
            name: functional.cross_entropy(head(tokens).flatten(0, 1), stills.attributes[name].repeat_interleave(cells))
            for name, head in self.attributes.items()
        }
        losses["glyph"] = functional.cross_entropy(self.glyph(tokens).flatten(0, 1), stills.glyphs.flatten())
        return losses

    @torch.no_grad()
    def accuracies(self, tokens: Tensor, stills: Stills) -> dict[str, float]:
        """Share of right readings over all tokens."""
        rights = {
            name: (head(tokens).argmax(-1) == stills.attributes[name][:, None]).float().mean().item()
            for name, head in self.attributes.items()
        }
        ring = stills.glyphs >= 0
        rights["glyph"] = (self.glyph(tokens).argmax(-1) == stills.glyphs)[ring].float().mean().item()
        return rights


def train_sight(
    model: InternVLForConditionalGeneration, random: Random, progress: Progress, *, steps: int, batch: int, rate: float
) -> dict[str, float]:
    """Train tower and projector in place; accuracies of the readings on fresh pictures."""
    heads = SightHeads(model.lm_head.in_features)
    inner = model.model
    seeing = nn.ModuleList([inner.vision_tower, inner.multi_modal_projector, heads]).train()
    optimiser = optimisers(seeing, rate)
    task = progress.add_task("sight", total=steps, note="")
    for number in range(steps):
        stills = draw_stills(random, batch)
        with torch.autocast(model.device.type, torch.bfloat16):
            tokens = see(model, stills.frames)
        clear = tokens.float() / tokens.float().pow(2).mean().sqrt()
        losses = heads.losses(clear + NOISE * torch.randn_like(clear), stills)
        step(optimiser, seeing, sum(losses.values(), torch.zeros(())), schedule_factor(number, steps))
        note = " ".join(f"{name} {loss.item():.3f}" for name, loss in losses.items())
        progress.update(task, advance=1, note=note)
    seeing.eval()
    test = draw_stills(random, 256)
    with torch.no_grad():
        tokens = see(model, test.frames)
        scale = TOKEN_SCALE / tokens.pow(2).mean().sqrt()
        accuracies = heads.accuracies(tokens * scale, test)
        inner.multi_modal_projector.linear_2.weight.mul_(scale)
        inner.multi_modal_projector.linear_2.bias.mul_(scale)
    return accuracies


def see(model: InternVLForConditionalGeneration, frames: object) -> Tensor:
    """Projected tokens `[N, 16, D]` of uint8 frames `[N, 112, 112, 3]`."""
    return model.get_image_features(pixel_values=IMAGENET(torch.as_tensor(frames))).pooler_output
