"""What the families share: a transformers class loaded as it is, text, greedy answers, and a look at its attention."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypedDict, Unpack

import numpy as np
import torch
from torch import Tensor
from transformers import AutoConfig

from videorouter.routers.backbones.attention_tap import attention_tap
from videorouter.routers.backbones.decoding import Decoded, TextStreamer, decode, decode_together, hidden_states
from videorouter.routers.backbones.early_loading import load_early
from videorouter.routers.backbones.language_weights import apply_language
from videorouter.routers.backbones.loading import loading_from
from videorouter.routers.backbones.pixels import Normalisation
from videorouter.routers.backbones.prompt import Prompt, SharedPrefix
from videorouter.routers.backbones.protocol import FrameSpan, Generated, Inspected, Kept, PositionPolicy
from videorouter.routers.backbones.shadow import ShadowStack
from videorouter.routers.backbones.tokenizer import check_rows, load_tokenizer
from videorouter.video.frames import resize_frames


class Loading(TypedDict, total=False):
    """How a checkpoint is loaded; every entry may be left out.

    Args:
        device: torch device, "cpu" if left out
        dtype: of the weights; float32 on a CPU, where bfloat16 is slow on most machines, the checkpoint's own elsewhere
        device_map: "auto" spreads a model over the devices there are, or module names to devices; `device` is then not read
        attn_implementation: "sdpa", "flash_attention_2", "eager", ...; transformers' own choice if left out
        early_layers: read vision tower, projector, embeddings and that many decoder layers only, which is all that
            routers need; such a backbone cannot answer
        revision: commit, branch or tag of a checkpoint on the Hub
    """

    device: str | torch.device
    dtype: torch.dtype | str | None
    device_map: str | dict[str, Any] | None
    attn_implementation: str | None
    early_layers: int | None
    revision: str | None


class NativeBackbone(ABC):
    """`Backbone` around a `...ForConditionalGeneration` class of transformers, with the class itself untouched."""

    model_class: ClassVar[Any]
    normalisation: ClassVar[Normalisation]
    position_policy: PositionPolicy = "contiguous"
    frames_per_patch: int = 1
    encoding_seconds: float = 0.0

    grid: tuple[int, int]
    frame_size: int

    def __init__(self, path: str, **loading: Unpack[Loading]) -> None:
        """Load a checkpoint folder or Hub id. Raises what transformers raises for a folder that is not the family's, and
        `ValueError` for a tokenizer of another model."""
        self.path = path
        self.device = torch.device(loading.get("device", "cpu"))
        revision = loading.get("revision")
        with loading_from(path):
            config: Any = AutoConfig.from_pretrained(path, revision=revision)
        self._own_dtype = None if loading.get("dtype") is not None else config.dtype
        self._spread = loading.get("device_map") is not None
        self.tokenizer = load_tokenizer(path, config, revision)
        self.model: Any = self._load(path, loading)
        self.model.requires_grad_(False).eval()
        if self._spread:
            embeddings = self.model.get_input_embeddings()
            hook = getattr(embeddings, "_hf_hook", None)
            self.device = torch.device(embeddings.weight.device if hook is None else hook.execution_device)
        else:
            self.to(self.device)
        text = self.model.config.get_text_config()
        self.hidden_size: int = text.hidden_size
        self.channels: int = text.hidden_size
        self.layers: int = text.num_hidden_layers

    @abstractmethod
    def embed_prompt(
        self,
        kept: Kept,
        text: str,
        seconds: Sequence[float] | None = None,
        between: Sequence[str] | None = None,
    ) -> Prompt:
        """As `Backbone`."""

    @abstractmethod
    def _encode(self, frames: np.ndarray, side: int) -> Tensor:
        """One chunk of uint8 `[t, H, W, 3]`, seen at `side` pixels -> `[ceil(t / frames_per_patch), M, channels]`."""

    @property
    def tokens_per_frame(self) -> int:
        return self.grid[0] * self.grid[1]

    def to(self, device: torch.device) -> None:
        """Move the model; weights that are float32 only for a CPU's sake become the checkpoint's own again on a GPU."""
        if self._spread:
            raise ValueError(f"{self.path} was spread over devices by `device_map` and cannot be moved as a whole")
        self.device = device
        torch.nn.Module.to(self.model, device)
        if device.type != "cpu" and self._own_dtype is not None:
            torch.nn.Module.to(self.model, self._own_dtype)

    @torch.no_grad()
    def encode_frames(self, frames: np.ndarray, frames_at_once: int = 32, side: int | None = None) -> Tensor:
        """As `Backbone`; memory is that of `frames_at_once` frames, rounded up to whole patches. Waits for the device."""
        started = time.perf_counter()
        step = -(-frames_at_once // self.frames_per_patch) * self.frames_per_patch
        side = self.frame_size if side is None else side
        self.grid_at(side)  # refuses a side before anything is resized to it
        chunks = [self._encode(frames[start : start + step], side) for start in range(0, len(frames), step)]
        tokens = torch.cat(chunks).to(self.device)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.encoding_seconds += time.perf_counter() - started
        return tokens

    def grid_at(self, side: int) -> tuple[int, int]:
        if side != self.frame_size:
            raise ValueError(f"frames of {side} pixels: {self.path} encodes frames of {self.frame_size} alone")
        return self.grid

    def embed_text(self, text: str) -> Tensor:
        ids = self.tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids[0]
        return self.embed_ids(ids)

    def embed_ids(self, ids: Tensor) -> Tensor:
        embeddings = self.model.get_input_embeddings()
        check_rows(ids, embeddings.num_embeddings, self.tokenizer)
        return embeddings(ids.to(self.device))

    def shadow_stack(self, layers: int = 4, own_weights: bool = False) -> ShadowStack:
        stack = ShadowStack(self.model.model.language_model, layers, own_weights or self._spread)
        if self._spread:
            from accelerate.hooks import remove_hook_from_module

            remove_hook_from_module(stack, recurse=True)  # the copy lies on one device
            if any(parameter.is_meta for parameter in stack.parameters()):
                raise ValueError(
                    f"the first {layers} layers of {self.path} do not fit into memory: give routers a base of their own, "
                    "loaded with `early_layers`"
                )
            stack.to(self.device)
        return stack

    @torch.no_grad()
    def next_token_logits(
        self, prompt: Prompt, answer_prefix: str = "", *, shared: SharedPrefix | None = None
    ) -> Tensor:
        if answer_prefix:
            prompt = prompt.followed_by(self.embed_text(answer_prefix))
        language_model = self.model.model.language_model
        cache = None if shared is None else shared.cache_for(prompt, language_model)
        states = hidden_states(language_model, prompt, cache)
        return self.model.lm_head(states[:, -1:])[0, 0]

    def generate(
        self,
        prompt: Prompt,
        max_new_tokens: int,
        *,
        shared: SharedPrefix | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Generated:
        streamed = TextStreamer(self.tokenizer, on_text or (lambda text: None))
        told = streamed.so_far if on_text else lambda ids: None
        decoded = decode(self.model, prompt, max_new_tokens, self._ends(), shared=shared, told=told)
        if on_text:
            streamed.finished(decoded.ids)
        return Generated(self._text(decoded), decoded.prefill_seconds, decoded.generate_seconds)

    def generate_together(
        self, prompts: Sequence[Prompt], max_new_tokens: int, *, shared: SharedPrefix | None = None
    ) -> list[Generated]:
        made = decode_together(self.model, prompts, max_new_tokens, self._ends(), shared=shared)
        return [Generated(self._text(one), one.prefill_seconds, one.generate_seconds) for one in made]

    def inspect(self, prompt: Prompt, layer: int, max_new_tokens: int) -> Inspected:
        if not 0 <= layer < self.layers:
            raise ValueError(f"layer {layer} is outside 0..{self.layers - 1}, the decoder layers of {self.path}")
        with attention_tap(self.model.model.language_model, layer, prompt) as seen:
            decoded = decode(self.model, prompt, max_new_tokens, self._ends(), entropies=True)
        return Inspected(seen[0].to(self.device), decoded.entropies.to(self.device), self._text(decoded))

    def use_language_of(self, folder: Path) -> None:
        self.model = apply_language(folder, self.model)
        self.model.requires_grad_(False).eval()

    def token_id(self, text: str) -> int:
        ids = self.tokenizer(text, add_special_tokens=False).input_ids
        if len(ids) != 1:
            raise ValueError(f"{text!r} is {len(ids)} tokens in the tokenizer of {self.path}, one is needed")
        return ids[0]

    def _load(self, path: str, loading: Loading) -> Any:
        on_cpu = not torch.cuda.is_available() if self._spread else self.device.type == "cpu"
        dtype = loading.get("dtype") or (torch.float32 if on_cpu else "auto")
        if (layers := loading.get("early_layers")) is not None:
            return load_early(path, layers, dtype=dtype, revision=loading.get("revision")).model
        more = {name: loading.get(name) for name in ("device_map", "attn_implementation", "revision")}
        given = {name: value for name, value in more.items() if value is not None}
        with loading_from(path):
            return self.model_class.from_pretrained(path, dtype=dtype, **given)

    def _ends(self) -> set[int]:
        """The end tokens of the checkpoint's generation settings, as `generate` takes them."""
        told = self.model.generation_config.eos_token_id
        if told is None:
            told = self.tokenizer.eos_token_id
        return set(told) if isinstance(told, list) else {told}

    def _text(self, decoded: Decoded) -> str:
        return str(self.tokenizer.decode(decoded.ids, skip_special_tokens=True)).strip()

    def _pixels(self, frames: np.ndarray, side: int | None = None) -> Tensor:
        """uint8 `[T, H, W, 3]` -> normalised `[T, 3, side, side]`, as the family's image processor does for a square image."""
        resized = torch.from_numpy(resize_frames(frames, side or self.frame_size)).to(self.device)
        return self.normalisation(resized).to(self.model.dtype)

    def _with_tokens(self, ids: Tensor, placeholder: Tensor, embeddings: Tensor) -> Tensor:
        """`[1, L, D]`: the embeddings of `ids` `[L]` with `embeddings` at the `[L]` True places of `placeholder`."""
        asked = int(placeholder.sum())
        assert asked == len(embeddings), f"{asked} placeholders for {len(embeddings)} visual tokens"
        prompt = self.embed_ids(ids).clone()
        prompt[placeholder.to(self.device)] = embeddings.to(prompt)
        return prompt.unsqueeze(0)

    def _check_contiguous(self, kept: Kept) -> None:
        if kept.positions == "original":
            raise ValueError(
                f"{self.path} has contiguous positions: original ones are for models with M-RoPE (Qwen-VL)"
            )


def span_counts(spans: Sequence[FrameSpan]) -> Tensor:
    """int64, one a span: its visual tokens."""
    return torch.tensor([span.tokens for span in spans])
