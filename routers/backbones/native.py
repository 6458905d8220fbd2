"""What the families share: a transformers class loaded as it is, text, greedy answers, and a look at its attention."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Unpack

import numpy as np
import torch
from torch import Tensor
from transformers import AutoConfig

from videorouter.routers.backbones.attention_tap import attention_tap
from videorouter.routers.backbones.decoding import Decoded, decode, decode_together
from videorouter.routers.backbones.early_loading import load_early
from videorouter.routers.backbones.finite import finite, finite_frames
from videorouter.routers.backbones.frame_shape import FrameShape
from videorouter.routers.backbones.language_weights import apply_language
from videorouter.routers.backbones.layout import ALONE, Dialogue, chat_prompt, tokenised
from videorouter.routers.backbones.loading import loading_from, stored_dtype, usual_device
from videorouter.routers.backbones.loading_checks import check_device_map
from videorouter.routers.backbones.loading_options import Loading, hub_source
from videorouter.routers.backbones.pixels import Normalisation
from videorouter.routers.backbones.prefill import LOGITS, hidden_states
from videorouter.routers.backbones.prompt import Prompt, SharedPrefix
from videorouter.routers.backbones.protocol import FrameSpan, Generated, Grid, Inspected, Kept, PositionPolicy
from videorouter.routers.backbones.quantised import check_not_quantised, quantisation, quantisation_of
from videorouter.routers.backbones.rope import beyond_positions, longest_prompt, make_prompt_wise
from videorouter.routers.backbones.running_batch import unheard
from videorouter.routers.backbones.shadow import ShadowStack
from videorouter.routers.backbones.text_batch import TextBatch
from videorouter.routers.backbones.text_stream import TextStream
from videorouter.routers.backbones.tokenizer import check_rows, check_system_prompt, load_tokenizer
from videorouter.routers.backbones.tying import load_as_stored
from videorouter.video.frames import Sizing, resize_frames

_log = logging.getLogger(__name__)


class NativeBackbone(ABC):
    """`Backbone` around a `...ForConditionalGeneration` class of transformers, with the class itself untouched."""

    model_class: ClassVar[Any]
    normalisation: ClassVar[Normalisation]
    position_policy: PositionPolicy = "contiguous"
    frames_per_patch: int = 1
    encoding_seconds: float = 0.0
    shape: FrameShape = FrameShape()

    grid: Grid | None
    frame_size: int | None

    def __init__(self, path: str, **loading: Unpack[Loading]) -> None:
        """Load a checkpoint folder or Hub id. Raises what transformers raises for a folder that is not the family's, and
        `ValueError` for a tokenizer of another model."""
        self.path = path
        self._source = hub_source(loading)
        self.device = torch.device(loading.get("device") or usual_device())
        with loading_from(path):
            config: Any = AutoConfig.from_pretrained(path, **self._source)
        self._own_dtype = None if loading.get("dtype") is not None else stored_dtype(config)
        quantised = quantisation_of(config, loading.get("quantization_config"))
        self._spread = loading.get("device_map") is not None or quantised is not None
        self.system_prompt = loading.get("system_prompt")
        check_system_prompt(self.system_prompt, config.model_type, path)
        self._told = False
        self._long_prompts = bool(loading.get("long_prompts"))
        self.tokenizer = load_tokenizer(path, config, **self._source)
        self.model: Any = self._load(path, loading, quantised)
        self.model.requires_grad_(False).eval()
        make_prompt_wise(self.model.model.language_model)
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
        kinds = getattr(text, "layer_types", None) or ["full_attention"] * self.layers
        self.readable_layers: Sequence[int] = [layer for layer, kind in enumerate(kinds) if kind != "sliding_attention"]

    @abstractmethod
    def embed_prompt(
        self,
        kept: Kept,
        text: str,
        seconds: Sequence[float] | None = None,
        between: Sequence[str] | None = None,
        dialogue: Dialogue = ALONE,
    ) -> Prompt:
        """As `Backbone`."""

    @abstractmethod
    def _encode(self, frames: np.ndarray, grid: Grid) -> Tensor:
        """One chunk of uint8 `[t, H, W, 3]` -> `[ceil(t / frames_per_patch), M, channels]`, M the cells of `grid`."""

    @property
    def tokens_per_frame(self) -> int:
        if self.grid is None:
            raise ValueError(
                f"the tokens of a frame of {self.path} follow the video's shape: ask `grid_of` for its grid"
            )
        return self.grid[0] * self.grid[1]

    def grid_of(self, frames: int, height: int, width: int) -> Grid:
        assert self.grid is not None, "a family whose grid follows the video says how"
        return self.grid

    def sizing(self, frames: int) -> Sizing:
        assert self.frame_size is not None, "a family whose frames follow the video says how"
        return self.frame_size

    def size_of(self, grid: Grid) -> tuple[int, int]:
        if grid != self.grid or self.frame_size is None:
            raise ValueError(
                f"frames of {grid[0]}x{grid[1]} tokens: {self.path} encodes them on a grid of {self.grid} alone"
            )
        return self.frame_size, self.frame_size

    def to(self, device: torch.device) -> None:
        """Move the model; weights that are float32 only for a CPU's sake become the checkpoint's own again on a GPU."""
        if self._spread:
            raise ValueError(
                f"{self.path} was spread over devices by `device_map`, or quantised, and cannot be moved as a whole"
            )
        self.device = device
        torch.nn.Module.to(self.model, device)
        if device.type != "cpu" and self._own_dtype is not None:
            cast_weights(self.model, self._own_dtype)

    @torch.no_grad()
    def encode_frames(self, frames: np.ndarray, frames_at_once: int = 32, grid: Grid | None = None) -> Tensor:
        """As `Backbone`; memory is that of `frames_at_once` frames, rounded up to whole patches. Waits for the device.

        Raises `NotFiniteError` naming the first frame whose tokens are none.
        """
        started = time.perf_counter()
        step = -(-frames_at_once // self.frames_per_patch) * self.frames_per_patch
        grid = grid or self.grid_of(len(frames), *frames.shape[1:3])
        self.size_of(grid)  # refuses a grid before anything is resized to it
        chunks = [self._encode(frames[start : start + step], grid) for start in range(0, len(frames), step)]
        tokens = finite_frames(torch.cat(chunks).to(self.device), of=self.path)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.encoding_seconds += time.perf_counter() - started
        return tokens

    def grid_at(self, side: int, grid: Grid | None = None) -> Grid:
        if self.grid is None or side != self.frame_size:
            raise ValueError(f"frames of {side} pixels: {self.path} encodes frames of {self.frame_size} alone")
        return self.grid

    def embed_text(self, text: str) -> Tensor:
        ids = self.tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids[0]
        return self.embed_ids(ids)

    def count_tokens(self, text: str) -> int:
        return len(self.tokenizer(text, add_special_tokens=False).input_ids)

    def embed_message(self, text: str, dialogue: Dialogue = ALONE) -> Tensor:
        prompt = chat_prompt(self.tokenizer, text, self._around(dialogue))
        return self.embed_ids(tokenised(self.tokenizer, prompt, return_tensors="pt").input_ids[0])

    def _around(self, dialogue: Dialogue) -> Dialogue:
        """The dialogue with the system prompt of this backbone, unless it has one of its own."""
        return dialogue if dialogue.system is not None else replace(dialogue, system=self.system_prompt)

    def embed_ids(self, ids: Tensor) -> Tensor:
        embeddings = self.model.get_input_embeddings()
        check_rows(ids, embeddings.num_embeddings, self.tokenizer)
        return embeddings(ids.to(self.device))

    def shadow_stack(self, layers: int = 4, own_weights: bool = False) -> ShadowStack:
        language_model = self.model.model.language_model
        if any(
            parameter.is_meta for parameter in language_model.layers[:layers].parameters()
        ):  # on disk: read them again
            dtype = self.model.dtype
            language_model = load_early(self.path, layers, dtype=dtype, **self._source).model.model.language_model
            make_prompt_wise(language_model)
        stack = ShadowStack(language_model, layers, own_weights or self._spread)
        if self._spread:
            from accelerate.hooks import remove_hook_from_module

            remove_hook_from_module(stack, recurse=True)  # the copy lies on one device
            stack.to(self.device)
        return stack

    @torch.no_grad()
    def next_token_logits(
        self, prompt: Prompt, answer_prefix: str = "", *, shared: SharedPrefix | None = None
    ) -> Tensor:
        if answer_prefix:
            prompt = prompt.followed_by(self.embed_text(answer_prefix))
        self.check_positions(prompt)
        language_model = self.model.model.language_model
        cache = None if shared is None else shared.cache_for(prompt, language_model)
        states = hidden_states(language_model, prompt, cache)
        return finite(self.model.lm_head(states[:, -1:])[0, 0], LOGITS, self.path)

    def generate(
        self,
        prompt: Prompt,
        max_new_tokens: int,
        *,
        shared: SharedPrefix | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Generated:
        self.check_positions(prompt)
        told = unheard if on_text is None else TextStream(self.tokenizer, on_text)
        return self._generated(decode(self.model, prompt, max_new_tokens, self._ends(), shared=shared, told=told))

    def generate_together(
        self, prompts: Sequence[Prompt], max_new_tokens: int, *, shared: SharedPrefix | None = None
    ) -> list[Generated]:
        for prompt in prompts:
            self.check_positions(prompt)
        made = decode_together(self.model, prompts, max_new_tokens, self._ends(), shared=shared)
        return [self._generated(one) for one in made]

    def running_batch(self) -> TextBatch:
        return TextBatch(self.model, self._ends(), self.tokenizer, self.check_positions)

    def inspect(self, prompt: Prompt, layer: int, max_new_tokens: int) -> Inspected:
        if not 0 <= layer < self.layers:
            raise ValueError(f"layer {layer} is outside 0..{self.layers - 1}, the decoder layers of {self.path}")
        self.check_positions(prompt)
        with attention_tap(self.model.model.language_model, layer, prompt) as seen:
            decoded = decode(self.model, prompt, max_new_tokens, self._ends(), entropies=True)
        attention = finite(seen[0].to(self.device), f"the attention of layer {layer}", self.path, self.model.dtype)
        return Inspected(attention, decoded.entropies.to(self.device), self._text(decoded))

    def check_positions(self, prompt: Prompt) -> None:
        """Warn, once a model, of a prompt beyond the positions that it was made for; the log has all of them.

        Raises `ValueError` for one beyond all that it can be scaled to, unless it was loaded with `long_prompts`.
        """
        text = self.model.config.get_text_config()
        told = beyond_positions(prompt.positions, text, self.path)
        if told is None:
            return
        most = longest_prompt(text)
        if most is not None and prompt.positions > most and not self._long_prompts:
            reach = f", {most:,} with scaling" if most > text.max_position_embeddings else ""
            raise ValueError(f"{told}{reach}: take fewer frames or a smaller budget, or allow it with --long_prompts")
        _log.log(logging.INFO if self._told else logging.WARNING, "%s", told)
        self._told = True

    def use_language_of(self, folder: Path) -> None:
        self.model = apply_language(folder, self.model)
        self.model.requires_grad_(False).eval()

    def token_id(self, text: str) -> int:
        ids = self.tokenizer(text, add_special_tokens=False).input_ids
        if len(ids) != 1:
            raise ValueError(f"{text!r} is {len(ids)} tokens in the tokenizer of {self.path}, one is needed")
        return ids[0]

    def _load(self, path: str, loading: Loading, quantised: str | None) -> Any:
        on_cpu = not torch.cuda.is_available() if self._spread else self.device.type == "cpu"
        dtype = loading.get("dtype") or (torch.float32 if on_cpu and quantised is None else "auto")
        if (layers := loading.get("early_layers")) is not None:
            check_not_quantised(path, quantised)
            return load_early(path, layers, dtype=dtype, **self._source).model
        names = ("device_map", "max_memory", "offload_folder", "attn_implementation")
        given: dict[str, Any] = {name: value for name in names if (value := loading.get(name)) is not None}
        if quantised is not None:
            given.setdefault("device_map", {"": self.device})
        if isinstance(given.get("device_map"), dict) and list(given["device_map"]) != [""]:
            with loading_from(path):
                config = AutoConfig.from_pretrained(path, trust_remote_code=False, **self._source)
            check_device_map(self.model_class, config, given["device_map"], path)
        with loading_from(path):
            if (asked := loading.get("quantization_config")) is not None:
                given["quantization_config"] = quantisation(asked)
            return load_as_stored(self.model_class, path, dtype=dtype, **given, **self._source)

    def _ends(self) -> set[int]:
        """The end tokens of the checkpoint's generation settings, as `generate` takes them."""
        told = self.model.generation_config.eos_token_id
        if told is None:
            told = self.tokenizer.eos_token_id
        return set(told) if isinstance(told, list) else {told}

    def _generated(self, decoded: Decoded) -> Generated:
        seconds = decoded.prefill_seconds, decoded.generate_seconds
        return Generated(self._text(decoded), *seconds, tokens=len(decoded.ids), ended=decoded.ended)

    def _text(self, decoded: Decoded) -> str:
        return str(self.tokenizer.decode(decoded.ids, skip_special_tokens=True)).strip()

    def _pixels(self, frames: np.ndarray, grid: Grid | None = None) -> Tensor:
        """uint8 `[T, H, W, 3]` -> normalised `[T, 3, h, w]` of `size_of(grid)`, as the family's image processor does."""
        size = self.size_of(grid or self.grid_of(len(frames), *frames.shape[1:3]))
        resized = torch.from_numpy(resize_frames(frames, size)).to(self.device)
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


def cast_weights(model: Any, dtype: torch.dtype) -> None:
    """Weights and saved buffers in `dtype`; what a model computes for itself, such as rotary frequencies, keeps its precision."""
    computed = {
        id(buffer)
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
        if name in module._non_persistent_buffers_set
    }
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point() and id(tensor) not in computed:
            tensor.data = tensor.data.to(dtype)


def span_counts(spans: Sequence[FrameSpan]) -> Tensor:
    """int64, one a span: its visual tokens."""
    return torch.tensor([span.tokens for span in spans])
