"""What the study promises and what the papers claim, each with what was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from videorouter.eval.run_folder import Prediction
from videorouter.eval.statistics import Difference, kept_share, paired_difference, summarise
from videorouter.miniature.study.budgets import DENSE_TOKENS, HEADLINE
from videorouter.miniature.study.probes import ProbeAccuracies, WrongFrames
from videorouter.miniature.world.wordings import KINDS

Made = Mapping[tuple[str, str, str, int], Sequence[Prediction]]
"""Predictions by base, system, how it was fed, and budget."""
Answered = Mapping[tuple[str, str, int], Sequence[Prediction]]
"""Predictions by base, system and budget."""
PAIRS: Final = (
    ("VidCom2", "dense", "vidcom2", "random_drop", "+4.8 % of dense accuracy at R = 0.25"),
    ("VidCom2", "dense", "fca+random_drop", "random_drop", "above 0"),
    ("VidCom2", "dense", "fca+uniform_pooling", "uniform_pooling", "above 0"),
    ("VidCom2", "robust", "fca+videorouter", "videorouter", "not published (its claim: any reducer)"),
    ("AdaptToken", "dense", "adapttoken", "attention_topk", "above 0: entropy shares the budget"),
    ("AdaptToken", "dense", "adapttoken", "random_drop", "above 0"),
    ("AdaptToken", "dense", "adapttoken_lite", "adapttoken", "-0.2 VideoMME, +0.3 MLVU, +0.1 LVB (InternVL2.5-8B)"),
    ("VideoRouter", "robust", "videorouter", "uniform_pooling", "+1.1 VideoMME, +3.0 LVB, +1.5 MLVU"),
    ("VideoRouter", "robust", "videorouter", "frame_budget", "+2.2 VideoMME, +5.0 LVB, +1.9 MLVU"),
    ("VideoRouter", "robust", "videorouter", "policy=global", "without the Image Router: as uniform pooling"),
    ("VideoRouter", "robust", "videorouter", "policy=fragment", "without the Semantic Router: +0.9, +0.7, +2.3"),
)
"""(paper, base, a system, another one, what the paper reports of the first minus the second)."""


@dataclass(frozen=True)
class Bound:
    """One promise in words, with the figure that keeps or breaks it."""

    what: str
    measured: str
    bound: str
    held: bool


@dataclass(frozen=True)
class Claim:
    """One claim of a paper, what the paper reports, and what was measured here at one budget."""

    paper: str
    claim: str
    published: str
    budget: int
    measured: str


def check_bounds(made: Made, information: ProbeAccuracies) -> list[Bound]:
    """All promises of the study, in the order a reader needs them."""
    return [
        *_information(information),
        _no_leak(made),
        *_dense(made),
        *_losses(made),
        *_routed(made),
    ]


def check_claims(answered: Answered, budget: int) -> list[Claim]:
    """All claims that the systems answered at `budget` allow to be checked."""
    dense = answered["dense", "dense", DENSE_TOKENS]
    claims = []
    for system, published in (("vidcom2", "99.6 % at R = 0.25, 95.1 % at 0.15"), ("random_drop", "94.8 % at R = 0.25")):
        found = answered.get(("dense", system, budget))
        if found:
            share = kept_share(found, dense)
            claims.append(Claim("VidCom2", f"{system} keeps of dense accuracy", published, budget, _share(share)))
    for paper, base, first, second, published in PAIRS:
        one, other = answered.get((base, first, budget)), answered.get((base, second, budget))
        if one and other:
            said = f"{first} minus {second}, base `{base}`"
            claims.append(Claim(paper, said, published, budget, _gain(paired_difference(one, other))))
    return claims


def _information(found: ProbeAccuracies) -> list[Bound]:
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
    found = summarise(made["robust", WrongFrames.name, "cap", HEADLINE.budget])
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
    bounds.append(Bound("oracle within 3 points of dense", _loss(lost), "<= 3.0", lost.mean <= 0.03))
    return bounds


def _loses(what: str, dense: Sequence[Prediction], found: Sequence[Prediction], policy: str) -> Bound:
    lost = paired_difference(_of(dense, policy), _of(found, policy))
    return Bound(what, _loss(lost), ">= 20.0", lost.mean >= 0.2)


def _routed(made: Made) -> list[Bound]:
    routed = made["robust", "videorouter", "equal", HEADLINE.budget]
    behind = paired_difference(made["robust", "dense", "cap", DENSE_TOKENS], routed)
    bounds = [Bound("VideoRouter within 4 points of dense", _loss(behind), "<= 4.0", behind.mean <= 0.04)]
    for (base, system, fed, budget), found in made.items():
        if base == "robust" and fed == "equal" and budget == HEADLINE.budget and system != "videorouter":
            ahead = paired_difference(routed, found)
            bounds.append(
                Bound(
                    f"VideoRouter ahead of {system} at equal tokens",
                    _loss(ahead),
                    ">= 5.0, interval above 0",
                    ahead.mean >= 0.05 and ahead.low > 0,
                )
            )
    return bounds


def _of(predictions: Sequence[Prediction], policy: str) -> list[Prediction]:
    return [prediction for prediction in predictions if KINDS[prediction.group].policy == policy]


def _loss(difference: Difference) -> str:
    return f"{100 * difference.mean:.1f} ({100 * difference.low:.1f} to {100 * difference.high:.1f}) points"


def _gain(found: Difference) -> str:
    return f"{100 * found.mean:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f}) points"


def _share(found: Difference) -> str:
    return f"{100 * found.mean:.1f} % ({100 * found.low:.1f} to {100 * found.high:.1f})"
