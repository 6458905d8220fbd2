"""What one microbatch holds on a rank beside weights, at its peak, in closed form (ours).

Vision tower, projector and frozen routers run without a way back: of them the peak of one answer counts (`routers/cost/memory.py`).
Layers that learn keep states for the way back, which `kept_numbers` gives: they were counted by autograd's own hooks
(`tests/train/test_step_activations.py`). Under gradient checkpointing a layer keeps its input alone, and one layer at a time
what it computes again. Attention is assumed fused (SDPA).
"""

from dataclasses import dataclass

from videorouter.routers.cost.geometry import DecoderGeometry, Geometry
from videorouter.routers.cost.memory import routing_activations, vision_activations
from videorouter.routers.cost.workload import Workload

ANSWER_TOKENS = 16
"""Of an answer, with the end of the turn; its logits are kept, also in float32 with their gradient."""


@dataclass(frozen=True)
class Microbatch:
    """What a rank computes at a time: `questions` in all about `videos`; a prompt has `prompt` tokens."""

    videos: int
    questions: int
    prompt: float = 0.0


def kept_numbers(decoder: DecoderGeometry, bytes_per_number: int = 2) -> float:
    """Numbers that a token leaves in a decoder layer for the way back.

    Normed states, queries, keys, values, what attention gave and the sums around it; gate, up, their product and the gate's
    activation. The norms' own states are float32: two more each where the rest is not. Experts count as those that see a token.
    """
    experts = decoder.experts
    inner = decoder.intermediate if experts is None else experts.active * experts.intermediate
    in_float32 = 4 / bytes_per_number
    norms = 2 * decoder.width * (1 if in_float32 == 1 else in_float32)
    softmax = decoder.heads * in_float32 + 2 * in_float32
    return 4 * decoder.width + norms + 2 * decoder.query_width + 2 * decoder.key_width + 4 * inner + softmax


def answer_activations(geometry: Geometry, microbatch: Microbatch, bytes_per_number: int, checkpointing: bool) -> float:
    """Bytes of stage 3: all prompts of a microbatch on their way back, beside the videos' tokens."""
    decoder = geometry.decoder
    layer, tokens = kept_numbers(decoder, bytes_per_number), microbatch.questions * microbatch.prompt
    on_the_way = microbatch.prompt * (
        2 * decoder.width + 3 * decoder.intermediate
    )  # gradients within the layer in turn
    kept = tokens * decoder.layers * decoder.width + microbatch.prompt * layer
    if not checkpointing:
        kept = tokens * decoder.layers * layer
    logits = microbatch.questions * ANSWER_TOKENS * decoder.vocabulary * (bytes_per_number + 8)
    return (kept + on_the_way) * bytes_per_number + logits


def frozen_activations(geometry: Geometry, workload: Workload, videos: int, bytes_per_number: int) -> float:
    """Bytes at the peak of encoding frames or of reading them with a question, `videos` encoded ones beside it."""
    frames = workload.units(geometry.vision.frames_per_patch)
    at_once = -(-workload.frames_at_once // geometry.vision.frames_per_patch)
    encoded = videos * frames * geometry.vision.tokens * geometry.vision.channels
    peak = max(
        vision_activations(geometry, min(frames, at_once), bytes_per_number), routing_activations(geometry, workload)
    )
    return (peak + encoded) * bytes_per_number


def shadow_activations(geometry: Geometry, workload: Workload, microbatch: Microbatch, bytes_per_number: int) -> float:
    """Bytes that the first layers keep where they learn in stage 1: every frame, and every question after every frame."""
    frames = workload.units(geometry.vision.frames_per_patch)
    read = microbatch.videos * geometry.vision.tokens + microbatch.questions * workload.question_tokens
    layer = kept_numbers(geometry.decoder, bytes_per_number)
    return frames * read * workload.shadow_layers * layer * bytes_per_number
