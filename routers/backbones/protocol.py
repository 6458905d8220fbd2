"""What the routers and systems need of a video model, whatever its family."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from videorouter.routers.backbones.frame_shape import FrameShape
from videorouter.routers.backbones.layout import ALONE, Dialogue
from videorouter.routers.backbones.prompt import Prompt, SharedPrefix
from videorouter.routers.backbones.shadow import ShadowStack
from videorouter.routers.backbones.text_batch import TextBatch
from videorouter.video.frames import Sizing

PositionPolicy = Literal["contiguous", "original"]
Grid = tuple[int, int]
"""(rows, columns) of the tokens of each frame of a video."""


@dataclass(frozen=True)
class FrameSpan:
    """One kept frame as it stands in the prompt: its 0-based index among the sampled frames and its visual tokens."""

    frame: int
    tokens: int


@dataclass(frozen=True)
class Generated:
    """Greedy text with the seconds spent until its first token (prefill) and on the rest.

    `tokens` were generated, the end token included; `ended` says whether that came, or the limit did.
    """

    text: str
    prefill_seconds: float
    generate_seconds: float
    tokens: int
    ended: bool


@dataclass(frozen=True)
class Inspected:
    """One model run looked into.

    `attention` float32 `[N]`, one a visual token: the maximum, over heads and over the text after the video, of
    softmax(QK^T / sqrt(d)) restricted to the visual keys (ours, after the selector AdaptToken builds on). `entropies` float32
    `[R]`: nats over the whole vocabulary, one a generated token, the one that ends the answer included.
    """

    attention: Tensor
    entropies: Tensor
    text: str


class Kept(Protocol):
    """The visual tokens that go into a prompt, in temporal and raster order; `CompressedVideo` is this."""

    @property
    def embeddings(self) -> Tensor:
        """`[N, channels]`."""
        ...

    @property
    def frames(self) -> Tensor:
        """`[N]` frame of each token, as `encode_frames` counts them."""
        ...

    @property
    def cells(self) -> Tensor:
        """`[N]` raster index of each on the frame's full grid."""
        ...

    @property
    def positions(self) -> PositionPolicy | None:
        """Position policy; None is the family's own."""
        ...

    @property
    def total_frames(self) -> int | None:
        """Frames before compression, which original positions count; None: up to the last one kept."""
        ...

    @property
    def grid(self) -> Grid | None:
        """The frames' full grid; None is the model's own, where all videos have one."""
        ...

    @property
    def spans(self) -> list[FrameSpan]:
        """The kept frames with the tokens of each."""
        ...


class Engine(Protocol):
    """What turns embedded prompts into text: a backbone itself, or a server with the same model."""

    def generate(
        self,
        prompt: Prompt,
        max_new_tokens: int,
        *,
        shared: SharedPrefix | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Generated:
        """Greedy continuation of an embedded prompt; `shared` remembers a video's prompt, `on_text` hears it as it grows."""
        ...

    def generate_together(
        self, prompts: Sequence[Prompt], max_new_tokens: int, *, shared: SharedPrefix | None = None
    ) -> list[Generated]:
        """`generate` for several prompts at once, up to rounding; the seconds of generation are shared out equally."""
        ...


class Backbone(Engine, Protocol):
    """A video language model behind a handful of verbs. `T` frames, `M` tokens a frame, `D` hidden size.

    Where `frames_per_patch` is above 1 the model merges that many sampled frames into one patch, and "frame" means that patch
    everywhere but in what `encode_frames` takes. `channels` is the width of an encoded token: D, and D more for each
    deepstack level, whose features travel behind it; systems score `tokens[..., :hidden_size]` and keep all channels.
    `readable_layers` are those at which `inspect` can read attention: all but those of sliding-window attention.
    `encoding_seconds` grows by what `encode_frames` takes.

    `grid` and `frame_size` (pixels a side) are those of every frame where the model sees squares. They are None where frames
    keep their aspect ratio (Qwen-VL): then `grid_of` says the grid of one video, and it travels with it: `WatchedVideo.grid`,
    `Query.grid`, `Kept.grid`. `shape` is what was asked for of the two.
    """

    path: str
    grid: Grid | None
    frame_size: int | None
    frames_per_patch: int
    hidden_size: int
    channels: int
    layers: int
    readable_layers: Sequence[int]
    position_policy: PositionPolicy
    device: torch.device
    encoding_seconds: float
    tokenizer: Any
    shape: FrameShape

    @property
    def tokens_per_frame(self) -> int:
        """M, the visual tokens of one frame at full resolution. Raises `ValueError` where that follows the video."""
        ...

    def grid_of(self, frames: int, height: int, width: int) -> Grid:
        """The grid of a video of which so many frames of `height` x `width` pixels are sampled: `grid`, where there is one.

        Raises `ValueError` for a shape that the model cannot see.
        """
        ...

    def size_of(self, grid: Grid) -> tuple[int, int]:
        """(height, width) in pixels at which frames are encoded on `grid`. Raises `ValueError` where they cannot be."""
        ...

    def sizing(self, frames: int) -> Sizing:
        """The size at which so many frames of a video are encoded, by their own; it can be sent to a decoding process."""
        ...

    def to(self, device: torch.device) -> None:
        """Move the model. Raises `ValueError` where it is spread over devices."""
        ...

    def encode_frames(self, frames: np.ndarray, frames_at_once: int = 32, grid: Grid | None = None) -> Tensor:
        """uint8 RGB `[T, H, W, 3]` of any size -> tokens after the projector `[ceil(T / frames_per_patch), M, channels]`.

        M is the cells of `grid`, by default `grid_of` these frames: name that of the whole video where they are a part of one.
        Raises `ValueError` where a frame cannot be encoded so.
        """
        ...

    def grid_at(self, side: int, grid: Grid | None = None) -> Grid:
        """The grid of frames encoded at `side` pixels a side: smaller frames of a video whose full grid is `grid`.

        Where frames keep their aspect ratio they have about as many pixels as that square. Raises `ValueError` where it cannot be.
        """
        ...

    def embed_message(self, text: str, dialogue: Dialogue = ALONE) -> Tensor:
        """A whole chat prompt without a video, amid what is said around a user message -> `[L, D]`. Raises as `embed_prompt`."""
        ...

    def embed_text(self, text: str) -> Tensor:
        """Plain text -> token embeddings `[L, D]`, no special tokens added. Raises as `embed_ids`."""
        ...

    def count_tokens(self, text: str) -> int:
        """L of `embed_text`, without the model, and so on any thread."""
        ...

    def embed_ids(self, ids: Tensor) -> Tensor:
        """int64 `[L]` -> token embeddings `[L, D]`. Raises `ValueError` naming an entry of the tokenizer that has no embedding."""
        ...

    def shadow_stack(self, layers: int = 4, own_weights: bool = False) -> ShadowStack:
        """The first `layers` decoder layers, over the model's own weights or over copies of them."""
        ...

    def embed_prompt(
        self,
        kept: Kept,
        text: str,
        seconds: Sequence[float] | None = None,
        between: Sequence[str] | None = None,
        dialogue: Dialogue = ALONE,
    ) -> Prompt:
        """The whole chat prompt with the kept tokens in place, amid what is said around the message that shows them.

        `seconds` says when each of the T frames is shown (`merged_seconds` where frames are merged); only families that
        tell the model the time read it. `between` says what is written before each of the T frames and after the last
        (`texts_around`), whether they were kept or not; it belongs to no frame. Raises `ValueError` for `between` that are not
        T + 1 texts, for text that holds the placeholder of visual tokens, and for turns that the chat template does not take.
        """
        ...

    def check_positions(self, prompt: Prompt) -> None:
        """Warn of a prompt beyond the positions that the model was made for. Raises `ValueError` for one beyond all that it has."""
        ...

    def next_token_logits(
        self, prompt: Prompt, answer_prefix: str = "", *, shared: SharedPrefix | None = None
    ) -> Tensor:
        """Logits `[V]` of the token that follows the prompt and `answer_prefix`; `shared` remembers a video's prompt."""
        ...

    def running_batch(self) -> TextBatch:
        """An empty batch that prompts join and leave between two tokens, for one thread at a time."""
        ...

    def inspect(self, prompt: Prompt, layer: int, max_new_tokens: int) -> Inspected:
        """Attention at decoder layer `layer` (0-based) and the greedy answer, of one and the same prefill."""
        ...

    def use_language_of(self, folder: Path) -> None:
        """Answer with what stage 3 trained of the language model, where `folder`, a router's, holds that. Raises `ValueError`."""
        ...

    def token_id(self, text: str) -> int:
        """The id of `text` as one token. Raises `ValueError` if it is none or several."""
        ...
