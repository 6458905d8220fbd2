"""The shadow stack: the first k decoder layers as routers run them (paper 3.2), and which of its weights are a router's own."""

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from videorouter.routers.backbones.prompt import continued, whole_cache

if TYPE_CHECKING:
    from transformers import PreTrainedModel  # which takes two seconds to import


class ShadowStack(nn.Module):
    """E(.): k decoder layers without final norm, so that its output equals `hidden_states[k]` of the full model.

    Image tokens come first and attention is causal: their states never depend on the question. They are therefore
    computed once a frame and every question continues from their keys and values (ours; same result, fewer FLOPs).
    Positions count from 0 in every frame, on all three axes alike where the model has M-RoPE, and deepstack features are
    left out (ours): routers read tokens as they stand behind the projector.

    Weights are the model's own tensors, so that routers cost no memory (ours; the paper copies them), unless the model's layers
    are to learn or to be replaced while the routers go on reading what they were trained on.
    """

    def __init__(self, language_model: "PreTrainedModel", layers: int = 4, own_weights: bool = False) -> None:
        """Over the first `layers` layers of a transformers text model. Raises `ValueError` if it has fewer."""
        super().__init__()
        available = language_model.config.num_hidden_layers
        if not 1 <= layers <= available:
            raise ValueError(f"a shadow stack of {layers} layers: the language model has {available}")
        config = copy.deepcopy(language_model.config)
        config.num_hidden_layers = layers
        if getattr(config, "layer_types", None):
            config.layer_types = config.layer_types[:layers]
        with torch.device("meta"):
            self.stack = type(language_model)(config)
        decoder_layers: Any = language_model.layers
        first = decoder_layers[:layers]
        shared = {} if own_weights else {id(parameter): parameter for parameter in first.parameters()}
        self.stack.layers = copy.deepcopy(first, shared)
        self.stack.rotary_emb = copy.deepcopy(language_model.rotary_emb)
        self.stack.norm = nn.Identity()
        del self.stack.embed_tokens
        self.layers = layers

    def text(self, embeddings: Tensor) -> Tensor:
        """H_q = E(Emb(q)): `[Q, L, D]` -> `[Q, L, D]`. Right padding needs no mask: attention is causal."""
        return self.stack(inputs_embeds=self._taken(embeddings), use_cache=False).last_hidden_state

    def frames(self, video_tokens: Tensor) -> tuple[Tensor, DynamicCache]:
        """States of `[T, M, D]` image tokens, positions from 0 in every frame, and the cache questions continue from."""
        cache = whole_cache()
        states = self.stack(
            inputs_embeds=self._taken(video_tokens), past_key_values=cache, use_cache=True
        ).last_hidden_state
        return states, cache

    def question_after_frames(self, embeddings: Tensor, cache: DynamicCache, frames: int) -> Tensor:
        """The question half of H_vq(t) = E([Z_t ; Emb(q)]): `[L, D]` after each of the `frames` T of the cache -> `[T, L, D]`.

        The cache stays as it is.
        """
        repeated = self._taken(embeddings).expand(frames, *embeddings.shape)
        return self.stack(inputs_embeds=repeated, past_key_values=continued(cache), use_cache=True).last_hidden_state

    @property
    def bytes_a_token(self) -> int:
        """Bytes that the cache of `frames` takes for one image token: a key and a value in every layer."""
        config: Any = self.stack.config
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return 2 * self.layers * config.num_key_value_heads * width * self.dtype.itemsize

    @property
    def dtype(self) -> torch.dtype:
        """The precision in which the layers compute, which is not that in which quantised matrices are stored."""
        return next(
            parameter.dtype
            for parameter in self.stack.parameters()
            if parameter.is_floating_point() and parameter.itemsize > 1
        )

    def _taken(self, embeddings: Tensor) -> Tensor:
        """In the layers' own precision, which is a higher one where they learn."""
        return embeddings.to(self.dtype)


ShadowMode = Literal["frozen", "lora", "full"]
_TARGETS: Final = r"layers\.\d+\.(self_attn|mlp)\.(q|k|v|o|gate|up|down)_proj"


@dataclass(frozen=True)
class ShadowWeights:
    """`mode` "frozen": the base's layers as they are; "lora": low-rank adapters (peft) of `rank`; "full": layers of its own."""

    mode: ShadowMode = "frozen"
    rank: int = 8

    @property
    def own(self) -> bool:
        """Whether the router has weights below its head."""
        return self.mode != "frozen"

    def put_into(self, shadow: ShadowStack) -> None:
        """Prepare for them: adapters, zero at first, beside every matrix. Everything stays frozen."""
        if self.mode == "lora":
            from peft import LoraConfig, inject_adapter_in_model

            config = LoraConfig(r=self.rank, lora_alpha=2 * self.rank, target_modules=_TARGETS, bias="none")
            inject_adapter_in_model(config, shadow.stack)
        shadow.requires_grad_(False)

    def tensors(self, shadow: ShadowStack) -> dict[str, nn.Parameter]:
        """The router's own parameters below its head by their names in the stack, without peft's parts of names."""
        named: dict[str, Any] = dict(shadow.stack.named_parameters())
        if self.mode == "lora":
            return {name.replace(".default.", "."): value for name, value in named.items() if ".lora_" in name}
        return named if self.mode == "full" else {}
