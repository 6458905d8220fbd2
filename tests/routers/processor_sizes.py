"""Sizes by the code of transformers' Qwen video processors itself, read from their files: imported they want torchvision."""

import ast
import importlib.util
import math
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

MODULES = {
    "qwen2_5_vl": "transformers.models.qwen2_vl.video_processing_qwen2_vl",
    "qwen3_vl": "transformers.models.qwen3_vl.video_processing_qwen3_vl",
}


class _Base:
    def resize(self, image: Any, size: Any, **more: Any) -> tuple[int, int]:
        return size.height, size.width


def processor_size(
    family: str, frames: int, height: int, width: int, *, shortest: int, longest: int, tokens: int, factor: int
) -> tuple[int, int] | None:
    """(height, width) that the processor's `resize` asks for with `cap_pixels_per_frame`; None where it has no such option."""
    made = _processor(family)
    if made is None:
        return None
    made.max_video_tokens = tokens
    size = SimpleNamespace(shortest_edge=shortest, longest_edge=longest)
    videos = SimpleNamespace(shape=(1, frames, 3, height, width))
    options = {"factor": factor, "temporal_factor": 2, "cap_pixels_per_frame": True}
    return made.resize(videos, size, None, **options)


@cache
def _processor(family: str) -> Any:
    found = importlib.util.find_spec("transformers")
    assert found is not None
    assert found.origin is not None
    file = Path(found.origin).parents[1] / Path(*MODULES[family].split(".")).with_suffix(".py")
    tree = ast.parse(file.read_text(encoding="utf-8"))
    smart = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "smart_resize")
    processor = next(node for node in tree.body if isinstance(node, ast.ClassDef) and "VideoProcessor" in node.name
                     and any(isinstance(part, ast.FunctionDef) and part.name == "resize" for part in node.body))  # fmt: skip
    resize = next(part for part in processor.body if isinstance(part, ast.FunctionDef) and part.name == "resize")
    if "cap_pixels_per_frame" not in {argument.arg for argument in resize.args.args}:
        return None
    for argument in (*resize.args.args, resize.args.kwarg):
        if argument is not None:
            argument.annotation = None
    resize.returns = None
    processor.body, processor.decorator_list, processor.bases = [resize], [], [ast.Name("_Base", ast.Load())]
    module = ast.fix_missing_locations(ast.Module([smart, processor], []))
    names: dict[str, Any] = {"math": math, "_Base": _Base, "SizeDict": SimpleNamespace}
    exec(compile(module, str(file), "exec"), names)  # transformers' own installed source
    return names[processor.name]()
