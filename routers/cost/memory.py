"""Peak memory of one answer in closed form (ours): weights, and the largest of vision chunk, routing chunk and prefill.

The peaks lie in a layer's MLP. The vision MLP holds five states (the tower's input, the layer's, what attention added, their
sum, and that normed) and the inner states before and after their activation, or gate, up and their product; with them what the
class keeps of earlier layers. Where attention is rotary its own peak may be higher: queries and keys are turned in float32. The
decoder's MLP holds four (the embedded prompt, the layer's input, the sum after attention, and that normed) and gate, up and their
product at once; a mixture four states for each expert that sees a token, or what those compute. Beside them lie the keys and
values of all layers and the video's tokens, all of them and those kept. Attention is assumed fused (SDPA), without a square of
scores; where there is no such kernel (GPT-OSS) three squares a head, and two of masks. What a GPU keeps for itself (its context,
workspaces, holes between blocks) is not in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from videorouter.routers.cost.flops import encoded_frames, router_tokens
from videorouter.routers.cost.geometry import DecoderGeometry, Geometry
from videorouter.routers.cost.workload import Workload
from videorouter.routers.routing.routers import TOKENS_AT_ONCE


@dataclass(frozen=True)
class PeakMemory:
    """Bytes by what holds them. Routers read the model's own layers; their heads (22 MB at 8B) are left out.

    `cache` is the part of `prefill` that keys and values take, `layer` the part that the prompt takes in one decoder layer,
    `windowed_cache` what they would take if layers with a window kept
    no more than it, as engines and transformers' own `generate` do; answers here keep every token, so that prompts can share them.
    """

    weights: float
    vision: float
    route: float
    prefill: float
    cache: float
    layer: float
    windowed_cache: float

    @property
    def total(self) -> float:
        """The most that is held at once."""
        return self.weights + max(self.vision, self.route, self.prefill)


def peak_memory(
    geometry: Geometry,
    workload: Workload,
    parameters: Mapping[str, int],
    *,
    prompt: float,
    visual: float,
    bytes_per_number: int = 2,
    routed: bool = True,
    small: Geometry | None = None,
) -> PeakMemory:
    """The peak while answering from `visual` tokens in a prompt of `prompt` tokens, all in one dtype.

    `parameters` by part as `parameters_by_part` gives them; `small` is the geometry at the screening side, where frames are
    screened: nothing of the video but the tokens kept is then held while the prompt is read.
    """
    decoder, channels = geometry.decoder, geometry.vision.channels
    frames = workload.units(geometry.vision.frames_per_patch)
    at_once = -(-workload.frames_at_once // geometry.vision.frames_per_patch)
    prefill = prefill_activations(decoder, prompt) + visual * channels
    if small is None or not routed:
        video = frames * geometry.vision.tokens * channels
        vision = vision_activations(geometry, min(frames, at_once), bytes_per_number) + video
        prefill += video
        route = routing_activations(geometry, workload) + video
    else:
        encoded = [encoded_frames(geometry, workload, policy, small) for policy, _ in workload.policies]
        screened, full = max(each.small for each in encoded), max(each.full for each in encoded)
        seen = screened * small.vision.tokens * channels
        first = vision_activations(small, min(screened, at_once), bytes_per_number)
        second = (
            vision_activations(geometry, min(full, at_once), bytes_per_number)
            + full * geometry.vision.tokens * channels
        )
        vision = seen + max(first, second)
        route = routing_activations(small, workload) + seen
    return PeakMemory(
        weights=bytes_per_number * sum(parameters.values()),
        vision=bytes_per_number * vision,
        route=bytes_per_number * route if routed else 0,
        prefill=bytes_per_number * prefill,
        cache=bytes_per_number * prompt * cache_numbers(decoder),
        layer=bytes_per_number * prompt * layer_numbers(decoder, prompt),
        windowed_cache=bytes_per_number * windowed_cache(decoder, prompt),
    )


def vision_activations(geometry: Geometry, frames: float, bytes_per_number: int = 2) -> float:
    """Numbers held at the peak of the vision tower over `frames` frames at once, their pixels among them."""
    vision = geometry.vision
    peak: float = 5 * vision.width + vision.matrices * vision.intermediate
    if vision.rotary:
        peak = max(peak, (3.5 + 7.5 * 4 / bytes_per_number) * vision.width)  # measured: 3.5 states, and 7.5 in float32
    return frames * (vision.pixels + vision.positions * (peak + vision.states_held * vision.width))


def prefill_activations(decoder: DecoderGeometry, prompt: float) -> float:
    """Numbers held at the peak of a prefill of `prompt` tokens: cache, embedded prompt, one layer's work."""
    return prompt * (cache_numbers(decoder) + layer_numbers(decoder, prompt))


def cache_numbers(decoder: DecoderGeometry, layers: int | None = None) -> int:
    """Numbers that one token's keys and values are, in `layers` layers (all by default)."""
    return 2 * decoder.key_width * (decoder.layers if layers is None else layers)


def windowed_cache(decoder: DecoderGeometry, tokens: float) -> float:
    """Numbers of a cache of `tokens` tokens whose layers keep no more than their window."""
    windows = (decoder.window(layer) for layer in range(decoder.layers))
    return 2 * decoder.key_width * sum(tokens if window is None else min(tokens, window) for window in windows)


def routing_activations(geometry: Geometry, workload: Workload) -> float:
    """Numbers held while the Image Router reads as many frames as it takes at once."""
    decoder, seen = geometry.decoder, router_tokens(geometry, workload)
    frames = min(workload.units(geometry.vision.frames_per_patch), max(1, TOKENS_AT_ONCE // seen))
    return frames * seen * (cache_numbers(decoder, workload.shadow_layers) + layer_numbers(decoder, seen))


def layer_numbers(decoder: DecoderGeometry, row: float) -> float:
    """Numbers held for one token at the peak of a decoder layer, in a row of `row` tokens."""
    width = decoder.width
    peaks: list[float] = []
    for experts in {decoder.experts_of(layer) for layer in range(decoder.layers)}:
        if experts is None:
            peaks.append(4 * width + 3 * decoder.intermediate)
        else:
            peaks.append(4 * width + experts.active * max(4 * width, width + 3 * experts.intermediate))
    if not decoder.fused:
        peaks.append(3 * (width + decoder.query_width) + (3 * decoder.heads + 2) * row)
    return max(peaks)
