"""Frames cut into the patches that Qwen-VL's vision towers take: two frames deep, ordered by merged cell."""

import torch
from torch import Tensor


def patchify(pixels: Tensor, patch: int, merge: int, frames: int) -> tuple[Tensor, Tensor]:
    """`[T, 3, S, S]` -> `[P * rows * columns, 3 * frames * patch * patch]` and `[[P, rows, columns]]`, P = ceil(T / frames).

    As `Qwen2VLVideoProcessor`, for which transformers needs torchvision; where T is no multiple, the last frame is repeated.
    """
    missing = -len(pixels) % frames
    whole = torch.cat([pixels, pixels[-1:].expand(missing, -1, -1, -1)]) if missing else pixels
    depth, (rows, columns) = len(whole) // frames, (side // patch for side in pixels.shape[2:])
    cut = whole.reshape(depth, frames, 3, rows // merge, merge, patch, columns // merge, merge, patch)
    ordered = cut.permute(0, 3, 6, 4, 7, 2, 1, 5, 8)
    grid = torch.tensor([[depth, rows, columns]], device=pixels.device)
    return ordered.reshape(depth * rows * columns, 3 * frames * patch * patch), grid
