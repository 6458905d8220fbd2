"""The cost of a checkpoint or router folder as the command line asks for it: configs and tokenizer are read, no weights."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig

from videorouter.routers.backbones.layout import chat_prompt
from videorouter.routers.backbones.tokenizer import load_tokenizer
from videorouter.routers.checkpoint import read_config
from videorouter.routers.cost.estimate import Estimate, estimate
from videorouter.routers.cost.workload import Workload
from videorouter.routers.prompts import question_text
from videorouter.routers.systems.query import Query
from videorouter.routers.systems.spec import parse_spec

SYSTEMS = ("dense", "videorouter")


def model_cost(model: str, *, base: str | None = None, dtype: str | None = None, **changes: Any) -> Estimate:
    """Cost of a base checkpoint (folder or Hub id), or of a router folder with its own frames, budget, scales and base.

    `changes` are fields of `Workload`; those that are None keep their value. `base` overrides where a router's base lies.
    Raises `ValueError` for a family without formulas and unworkable options, `OSError` where there is no such checkpoint.
    """
    workload = Workload()
    if is_router(model):
        router = read_config(Path(model))
        workload = Workload(router.frames, router.budget, router.scales, shadow_layers=router.shadow_layers)
        workload = replace(workload, router_pool=router.routing.router_scale)
        model = base or router.base.path
    workload = replace(workload, **{name: value for name, value in changes.items() if value is not None})
    config = AutoConfig.from_pretrained(model, trust_remote_code=False)
    return estimate(config, workload, None if dtype is None else getattr(torch, dtype))


def answer_cost(
    model: str,
    question: str,
    options: Sequence[str] | None = None,
    *,
    system: str = "videorouter",
    base: str | None = None,
    **changes: Any,
) -> Estimate:
    """`model_cost` for one question, its tokens counted by the base's tokenizer. Raises `ValueError` for other systems."""
    written = parse_spec(system)
    if written.name not in SYSTEMS or "screen_side" in written.options:
        raise ValueError(f"the cost of {system!r} has no formula: there are {', '.join(SYSTEMS)}")
    if "router_scale" in written.options:
        changes["router_pool"] = written.options["router_scale"]
    path = (base or read_config(Path(model)).base.path) if is_router(model) else model
    query = Query(question, tuple(options) if options else None)
    return model_cost(model, base=base, **(text_tokens(path, query) | changes))


def text_tokens(path: str, query: Query) -> dict[str, int]:
    """The token counts of a `Workload` that depend on words, by the tokenizer of the checkpoint `path`."""
    tokenizer = load_tokenizer(path, AutoConfig.from_pretrained(path))

    def count(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False).input_ids)

    return {
        "question_tokens": count(query.question),
        "text_tokens": count(chat_prompt(tokenizer, question_text(query))),
        "label_tokens": count("Frame-12: <img></img>\n"),
    }


def is_router(model: str) -> bool:
    """Whether `model` is a folder that `videorouter routers export` wrote."""
    path = Path(model) / "config.json"
    return path.is_file() and "format_version" in json.loads(path.read_text(encoding="utf-8"))
