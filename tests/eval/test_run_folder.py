"""A run is read back as it was written."""

from pathlib import Path

import pytest

from videorouter.eval.benchmarks.items import Item, KnownTruth, Subtitles
from videorouter.eval.run_folder import ITEMS, MANIFEST, PREDICTIONS, VIDEOS, item_row, read_run, write_rows

ITEM = Item(
    "1", Path("a.mp4"), "What?", ("x", "y"), "B", {"duration": "short", "domain": "art"},
    KnownTruth("fragment", ((1.0, 2.5),)), ((3.0, 4.0),), (7, 9), Subtitles(Path("a.srt"), 2.0),
)  # fmt: skip


def test_items_come_back_as_they_were(tmp_path: Path) -> None:
    plain = Item("2", Path("b.mp4"), "Who?", ("x", "y"), "A", {"duration": "long"})
    write_rows(tmp_path / ITEMS, [item_row("one", ITEM), item_row("other", plain)])
    (tmp_path / MANIFEST).write_text("{}")
    for name in (VIDEOS, PREDICTIONS):
        (tmp_path / name).touch()
    assert read_run(tmp_path).items == {"one": [ITEM], "other": [plain]}


def test_a_folder_without_a_run_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"give the folder of a finished `videorouter eval run`"):
        read_run(tmp_path)
