"""All compression systems by name, ours and those of installed packages, and what builds each (ours)."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from functools import partial
from typing import Final

from videorouter.registry import Registry
from videorouter.routers.backbones.protocol import Backbone
from videorouter.routers.routing.allocation import Scales
from videorouter.routers.systems.adapttoken import AdaptToken, AdaptTokenLite, AttentionTopk
from videorouter.routers.systems.base import System
from videorouter.routers.systems.random_drop import RandomDrop
from videorouter.routers.systems.references import Dense, Oracle
from videorouter.routers.systems.relevance_pooling import RelevancePooling, load_frame_encoder
from videorouter.routers.systems.spec import ROUTED, Spec, parse_spec, with_options
from videorouter.routers.systems.uniform_pooling import FrameBudget, UniformPooling
from videorouter.routers.systems.vidcom2 import FrameCompressionAdjustment, FrameReducer, VidCom2
from videorouter.routers.systems.videorouter import RoutedCompression
from videorouter.shards.policy import POLICIES


@dataclass(frozen=True)
class SystemOptions:
    """What single systems want beside a router.

    Args:
        scale: compression scale of `uniform_pooling`; the router's global one where null
        seed: draw of `random_drop`
        encoder: CLIP or SigLIP checkpoint (folder or Hub id) that `relevance_pooling` compares frames and questions with
        fill: whether `vidcom2` and `fca+` systems spend what no retention spends exactly
    """

    scale: int | None = None
    seed: int = 0
    encoder: str | None = None
    fill: bool = False


@dataclass(frozen=True)
class BaseOnly:
    """A base model without a router: every system but the routed ones can be built for it."""

    backbone: Backbone
    scales: Scales = field(default_factory=Scales)


Builder = Callable[[RoutedCompression | BaseOnly, SystemOptions], System]
"""What stands in the registry: makes a system for a backbone and its scales."""

_OWN: Final[dict[str, Builder]] = {
    "dense": lambda router, options: Dense(router.backbone.grid),
    "oracle": lambda router, options: Oracle(router.backbone.grid, router.scales),
    "frame_budget": lambda router, options: FrameBudget(router.backbone.grid),
    "uniform_pooling": lambda router, options: _uniform_pooling(router, options),
    "random_drop": lambda router, options: RandomDrop(options.seed),
    "relevance_pooling": lambda router, options: _relevance_pooling(router, options),
    "attention_topk": lambda router, options: AttentionTopk(router.backbone),
    "vidcom2": lambda router, options: VidCom2(router.backbone.hidden_size, options.fill),
    "adapttoken": lambda router, options: AdaptToken(router.backbone),
    "adapttoken_lite": lambda router, options: AdaptTokenLite(router.backbone),
    ROUTED: lambda router, options: _routed(router),
}
BUILDERS: Final = Registry("videorouter.systems", "system", _OWN)
"""Ours, and those of installed packages in the entry point group `videorouter.systems`."""

ADJUSTED: Final = "fca+"
SYSTEMS: Final = (*BUILDERS, *(ADJUSTED + inner for inner in ("uniform_pooling", "random_drop", ROUTED)))
"""All systems; `fca+` is frame compression adjustment around another one."""


def known_system(spec: str) -> Spec:
    """What `spec` writes. Raises `ValueError` naming the systems there are for another name."""
    written = parse_spec(spec)
    if written.name not in SYSTEMS:
        raise ValueError(f"unknown system {written.name!r}: there are {', '.join(SYSTEMS)}")
    return written


def build_system(spec: str, router: RoutedCompression | BaseOnly, options: SystemOptions | None = None) -> System:
    """The system that `spec` writes, `NAME` or `NAME(option=value, ...)`, for the backbone, scales and policy of `router`.

    Its options are those of `SystemOptions`, and the system's own: the plain fields of its class, `RoutingOptions` for
    `videorouter`. Raises `ValueError` naming the systems or options there are, or the option or router that is missing.
    """
    written = known_system(spec)
    options = options or SystemOptions()
    general = {name: value for name, value in written.options.items() if name in asdict(options)}
    own = {name: value for name, value in written.options.items() if name not in general}
    options = with_options(options, general, spec)
    inner = _with_own(BUILDERS[written.name.removeprefix(ADJUSTED)](router, options), own, spec)
    if written.options and is_dataclass(inner):
        inner = replace(inner, name=str(written).removeprefix(ADJUSTED))
    if written.options and written.name == ROUTED:
        # With options of its own it feeds other tokens than those that the compared systems are given.
        inner = replace(inner, kind="reference")  # type: ignore[type-var]
    if not written.name.startswith(ADJUSTED):
        return inner
    assert isinstance(inner, FrameReducer)
    return FrameCompressionAdjustment(inner, router.backbone.hidden_size, options.fill)


def _with_own(system: System, own: dict[str, object], said: str) -> System:
    if isinstance(system, RoutedCompression):
        policy, own = own.get("policy", system.policy), {n: value for n, value in own.items() if n != "policy"}
        if policy not in (None, *POLICIES):
            raise ValueError(f"{said}: policy cannot be {policy!r}, there are {' and '.join(POLICIES)}")
        return replace(system, policy=policy, options=with_options(system.options, own, said))
    return with_options(system, own, said)


def _routed(router: RoutedCompression | BaseOnly) -> RoutedCompression:
    if isinstance(router, BaseOnly):
        raise ValueError(
            f"{ROUTED} needs a trained router, and there is only a base: name a router folder with --model, "
            f"or take one of {', '.join(name for name in BUILDERS if name != ROUTED)}"
        )
    return router


def _uniform_pooling(router: RoutedCompression | BaseOnly, options: SystemOptions) -> System:
    return UniformPooling(router.backbone.grid, options.scale or router.scales.global_scale)


def _relevance_pooling(router: RoutedCompression | BaseOnly, options: SystemOptions) -> System:
    if options.encoder is None:
        raise ValueError(
            "relevance_pooling needs an `encoder`: the folder or Hub id of a CLIP or SigLIP checkpoint, "
            "such as openai/clip-vit-base-patch32"
        )
    device = str(router.backbone.device)
    return RelevancePooling(router.backbone.grid, partial(load_frame_encoder, options.encoder, device), router.scales)
