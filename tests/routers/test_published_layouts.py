"""Checkpoints as they are published: loaded whole and early, and exactly their own class where nothing is compressed."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForImageTextToText

from tests.routers.published_layouts import LAYOUTS, write_layout


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_class_finds_every_tensor_of_a_layout(name: str, tmp_path: Path) -> None:
    """The generator's own promise: published names, all that the class needs and nothing else."""
    auto: Any = AutoModelForImageTextToText
    _, report = auto.from_pretrained(write_layout(name, tmp_path), output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"))
