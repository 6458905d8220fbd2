"""A stage is shown as it was typed, whatever its paths look like."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from videorouter.miniature.pipeline.stages import StageFailed, Stages


@pytest.mark.parametrize("shards", ["[/absolute/flr, /absolute/qtr]", "[bold]", "[/bold]", "a[1]/b"])
def test_paths_that_look_like_markup_are_printed_as_they_are(shards: str, tmp_path: Path) -> None:
    console = Console(markup=False, file=io.StringIO(), width=60)
    with pytest.raises(StageFailed, match="ended with exit code") as failure:
        Stages(console).run(f"look at {shards}", "shards", "stats", str(tmp_path / shards))
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert shards in printed.splitlines()[0]
    assert str(tmp_path / shards) in printed.splitlines()[1]
    assert str(tmp_path / shards) in str(failure.value)
