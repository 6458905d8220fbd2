"""From frames to what a vision tower takes: normalised pixels, and Qwen-VL's patches, two frames deep."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Normalisation:
    """Mean and deviation taken out of RGB in 0..1, as the families' published preprocessor settings say."""

    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]

    def __call__(self, frames: Tensor) -> Tensor:
        """uint8 `[T, H, W, 3]` -> float32 `[T, 3, H, W]`."""
        mean = torch.tensor(self.mean, device=frames.device)
        deviation = torch.tensor(self.deviation, device=frames.device)
        return ((frames.float() / 255 - mean) / deviation).permute(0, 3, 1, 2)


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = Normalisation((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
HALF = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def patchify(pixels: Tensor, patch: int, merge: int, frames: int) -> tuple[Tensor, Tensor]:
    """`[T, 3, H, W]` -> `[P * rows * columns, 3 * frames * patch * patch]` and `[[P, rows, columns]]`, P = ceil(T / frames).

    As `Qwen2VLVideoProcessor`, for which transformers needs torchvision; where T is no multiple, the last frame is repeated.
    """
    missing = -len(pixels) % frames
    whole = torch.cat([pixels, pixels[-1:].expand(missing, -1, -1, -1)]) if missing else pixels
    depth, (rows, columns) = len(whole) // frames, (side // patch for side in pixels.shape[2:])
    cut = whole.reshape(depth, frames, 3, rows // merge, merge, patch, columns // merge, merge, patch)
    ordered = cut.permute(0, 3, 6, 4, 7, 2, 1, 5, 8)
    grid = torch.tensor([[depth, rows, columns]], device=pixels.device)
    return ordered.reshape(depth * rows * columns, 3 * frames * patch * patch), grid
