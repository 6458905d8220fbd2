"""The page: one HTML file that needs no other."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from videorouter.eval.benchmarks.items import Item
from videorouter.eval.report.charts import heat_map, marks, plots, stage_bars, stage_names
from videorouter.eval.report.figures import CellFigures
from videorouter.eval.report.inspector import inspected, strips_within
from videorouter.eval.report.joined_runs import JoinedRuns
from videorouter.eval.report.notes import facts, notes
from videorouter.eval.report.tables import across_budgets, caption, cells, header, router_tables

LIMIT: Final = 5_000_000
"""Bytes of the whole page."""
_HERE: Final = Path(__file__).parent


def page(
    figures: Sequence[CellFigures],
    joined: JoinedRuns,
    questions: Sequence[tuple[str, Item]],
    reference: str,
    *,
    mix_budgets: bool = False,
    limit: int = LIMIT,
) -> str:
    """The page as text, with as many thumbnails as fit into `limit` bytes.

    Raises `ValueError` where it is larger than that without any.
    """
    content = {
        "tables": list(figures), "joined": joined, "reference": reference, "marks": marks(figures, joined),
        "plots": plots(figures, joined, reference),
        "routers": router_tables(figures, joined),
        "across": across_budgets(list(figures), joined) if mix_budgets else {},
    }  # fmt: skip
    sentences = notes(figures, joined, mix_budgets)
    bare = len(_rendered(content, sentences, inspected(questions, joined, {}), {}).encode())
    if bare > limit:
        raise ValueError(
            f"the page would take {bare / 1e6:.1f} MB, more than {limit / 1e6:.0f} MB: show fewer --questions, or fewer runs"
        )
    left = limit - bare - 2_000  # for the note about thumbnails left out, and the reasons
    strips, left_out = strips_within(questions, joined, left)
    if left_out:
        sentences = [*sentences, f"{left_out} thumbnails were left out to keep the page below {limit / 1e6:g} MB."]
    pictures = {key: list(zip(own.seconds, own.pictures, strict=True)) for key, own in strips.items() if own.pictures}
    return _rendered(content, sentences, inspected(questions, joined, strips), pictures)


def _rendered(
    content: dict[str, Any], sentences: Sequence[str], asked: list[dict[str, Any]], pictures: dict[str, Any]
) -> str:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_read("page.html")).render(
        **content,
        notes=sentences,
        questions=len(asked),
        data=_json({"questions": asked, "pictures": pictures}),
        style=Markup(_read("page.css")),
        script=Markup(_read("page.js")),
        caption=caption, cells=cells, header=header, heat_map=heat_map, facts=facts, stage_bars=stage_bars,
        stage_names=stage_names, svg=Markup,
    )  # fmt: skip


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _json(value: object) -> Markup:
    """JSON that cannot end the element it stands in."""
    written = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(written.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))
