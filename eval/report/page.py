"""The page: one HTML file that needs nothing beside it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from videorouter.eval.items import Item
from videorouter.eval.report.across import across_budgets
from videorouter.eval.report.cells import CellFigures
from videorouter.eval.report.gathered import Gathered
from videorouter.eval.report.heat import heat_map
from videorouter.eval.report.inspector import inspected, video_key, watched_of
from videorouter.eval.report.notes import notes
from videorouter.eval.report.plots import marks, plots
from videorouter.eval.report.provenance import facts
from videorouter.eval.report.routing_tables import router_tables
from videorouter.eval.report.stages import stage_bars, stage_names
from videorouter.eval.report.thumbnails import Strip, strip
from videorouter.eval.report.written import caption, cells, header

LIMIT: Final = 5_000_000
"""Bytes of the whole page."""
_HERE: Final = Path(__file__).parent


def page(
    figures: Sequence[CellFigures],
    gathered: Gathered,
    questions: Sequence[tuple[str, Item]],
    reference: str,
    *,
    mix_budgets: bool = False,
    limit: int = LIMIT,
) -> str:
    """The page as text, with as many thumbnails as fit into `limit` bytes.

    Raises `ValueError` where it is larger than that without any.
    """
    told = {
        "tables": list(figures), "gathered": gathered, "reference": reference, "marks": marks(figures, gathered),
        "plots": plots(figures, gathered, reference),
        "routers": router_tables(figures, gathered),
        "across": across_budgets(list(figures), gathered) if mix_budgets else {},
    }  # fmt: skip
    said = notes(figures, gathered, mix_budgets)
    bare = len(_rendered(told, said, inspected(questions, gathered, {}), {}).encode())
    if bare > limit:
        raise ValueError(
            f"the page would take {bare / 1e6:.1f} MB, more than {limit / 1e6:.0f} MB: show fewer --questions, or fewer runs"
        )
    strips, left_out = _strips(questions, gathered, limit - bare - 2_000)  # the note about them, and their reasons
    if left_out:
        said = [*said, f"{left_out} thumbnails were left out to keep the page below {limit / 1e6:g} MB."]
    pictures = {key: list(zip(own.seconds, own.pictures, strict=True)) for key, own in strips.items() if own.pictures}
    return _rendered(told, said, inspected(questions, gathered, strips), pictures)


def _strips(questions: Sequence[tuple[str, Item]], gathered: Gathered, room: int) -> tuple[dict[str, Strip], int]:
    """Strips by video in the order of the questions while there is room for them, and how many thumbnails there was none for."""
    strips: dict[str, Strip] = {}
    left_out: dict[str, int] = {}
    folders = [path for path, _ in gathered.runs]
    for benchmark, item in questions:
        key, watched = video_key(benchmark, item), watched_of(gathered, benchmark, item)
        if key in strips or key in left_out:
            continue
        own = strip(watched, folders) if watched else Strip([], [], "video not among those of the run")
        size = sum(len(picture) + 16 for picture in own.pictures)
        if size > room:
            left_out[key] = len(own.pictures)
            continue
        room -= size
        strips[key] = own
    return strips, sum(left_out.values())


def _rendered(told: dict[str, Any], said: Sequence[str], asked: list[dict[str, Any]], pictures: dict[str, Any]) -> str:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_read("page.html")).render(
        **told,
        notes=said,
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
