"""What the study promises, each with what was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from videorouter.eval.predictions import Prediction
from videorouter.eval.statistics import Difference, paired_difference, summarise
from videorouter.miniature.study.information import Information
from videorouter.miniature.study.misled import Misled
from videorouter.miniature.study.points import DENSE_TOKENS, HEADLINE
from videorouter.miniature.wordings import KINDS

Made = Mapping[tuple[str, str, str, int], Sequence[Prediction]]
"""Predictions by base, system, how it was fed, and budget."""


@dataclass(frozen=True)
class Bound:
    """One promise in words, with the figure that keeps or breaks it."""

    what: str
    measured: str
    bound: str
    held: bool


def check_bounds(made: Made, information: Information) -> list[Bound]:
    """All promises of the study, in the order a reader needs them."""
    return [
        *_information(information),
        _no_leak(made),
        *_dense(made),
        *_losses(made),
        *_routed(made),
    ]


def _information(found: Information) -> list[Bound]:
    most = found.guessing + 0.05
    return [
        Bound("linear probe, glyph at a named place, s = 1", f"{found.full:.3f}", ">= 0.95", found.full >= 0.95),
        Bound(
            "linear probe among the pooled cell's glyphs, s = 4",
            f"{found.pooled:.3f}",
            f"<= {most:.3f} (guessing + 0.05)",
            found.pooled <= most,
        ),
    ]


def _no_leak(made: Made) -> Bound:
    found = summarise(made["robust", Misled.name, "cap", HEADLINE.budget])
    return Bound(
        "a wrong frame sharp instead of the evidence",
        f"{found.accuracy:.3f} ({found.low:.3f}-{found.high:.3f})",
        f"interval reaches guessing, {found.chance:.3f}",
        found.low <= found.chance,
    )


def _dense(made: Made) -> list[Bound]:
    bounds = []
    for base in ("dense", "robust"):
        for policy in ("fragment", "global"):
            found = summarise(_of(made[base, "dense", "cap", DENSE_TOKENS], policy))
            measured = f"{found.accuracy:.3f} ({found.low:.3f}-{found.high:.3f})"
            bounds.append(Bound(f"base {base}: dense, {policy}", measured, ">= 0.90", found.accuracy >= 0.9))
    return bounds


def _losses(made: Made) -> list[Bound]:
    """What the simple systems lose against dense, given the whole headline budget; the oracle must not."""
    dense = made["robust", "dense", "cap", DENSE_TOKENS]
    at = {
        system: found
        for (base, system, fed, budget), found in made.items()
        if (base, fed, budget) == ("robust", "cap", HEADLINE.budget)
    }
    bounds = []
    for system, found in at.items():
        if system.startswith("uniform_pooling"):
            bounds.append(_loses(f"{system} loses on fragment", dense, found, "fragment"))
    bounds.append(_loses("frame_budget loses on global", dense, at["frame_budget"], "global"))
    lost = paired_difference(dense, at["oracle"])
    bounds.append(Bound("oracle within 3 points of dense", _points(lost), "<= 3.0", lost.mean <= 0.03))
    return bounds


def _loses(what: str, dense: Sequence[Prediction], found: Sequence[Prediction], policy: str) -> Bound:
    lost = paired_difference(_of(dense, policy), _of(found, policy))
    return Bound(what, _points(lost), ">= 20.0", lost.mean >= 0.2)


def _routed(made: Made) -> list[Bound]:
    routed = made["robust", "videorouter", "equal", HEADLINE.budget]
    behind = paired_difference(made["robust", "dense", "cap", DENSE_TOKENS], routed)
    bounds = [Bound("VideoRouter within 4 points of dense", _points(behind), "<= 4.0", behind.mean <= 0.04)]
    for (base, system, fed, budget), found in made.items():
        if base == "robust" and fed == "equal" and budget == HEADLINE.budget and system != "videorouter":
            ahead = paired_difference(routed, found)
            bounds.append(
                Bound(
                    f"VideoRouter ahead of {system} at equal tokens",
                    _points(ahead),
                    ">= 5.0, interval above 0",
                    ahead.mean >= 0.05 and ahead.low > 0,
                )
            )
    return bounds


def _of(predictions: Sequence[Prediction], policy: str) -> list[Prediction]:
    return [prediction for prediction in predictions if KINDS[prediction.group].policy == policy]


def _points(difference: Difference) -> str:
    return f"{100 * difference.mean:.1f} ({100 * difference.low:.1f} to {100 * difference.high:.1f}) points"
