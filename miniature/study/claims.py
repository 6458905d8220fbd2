"""What the papers claim, held against the miniature: each with its interval, whatever its sign."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from videorouter.eval.predictions import Prediction
from videorouter.eval.statistics import Difference, kept_share, paired_difference

Answered = Mapping[tuple[str, str, int], Sequence[Prediction]]
"""Predictions by base, system and budget."""
DENSE_AT: Final = 1024


@dataclass(frozen=True)
class Claim:
    """One claim of a paper, what the paper reports, and what was measured here at one budget."""

    paper: str
    claim: str
    published: str
    budget: int
    measured: str


def check_claims(answered: Answered, budget: int) -> list[Claim]:
    """All claims that the systems answered at `budget` allow to be checked."""
    dense = answered["dense", "dense", DENSE_AT]
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
            claims.append(Claim(paper, said, published, budget, _points(paired_difference(one, other))))
    return claims


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


def _points(found: Difference) -> str:
    return f"{100 * found.mean:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f}) points"


def _share(found: Difference) -> str:
    return f"{100 * found.mean:.1f} % ({100 * found.low:.1f} to {100 * found.high:.1f})"
