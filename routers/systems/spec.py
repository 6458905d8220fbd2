"""A system as one writes it, on a command line or in a YAML list: `adapttoken_lite(max_entropy=0.3, confident_groups=1)` (ours)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Final, Literal, TypeVar, get_args

import yaml

ROUTED: Final = "videorouter"
"""The system that this project is about; the others are compared with it."""
Kind = Literal["compared", "reference", "bound", "control"]
"""What row of a comparison a system is. Compared systems are fed equally many tokens; the others are printed apart: a reference
feeds as many as it wants, a bound is told the truth, a control tests the questions rather than a system."""
Given = TypeVar("Given")
_SPEC = re.compile(r"\s*([\w+]+)\s*(?:\((.*)\))?\s*", re.DOTALL)
_PLAIN = (bool, int, float, str, type(None))
_NOT_OPTIONS = {"name", "budgeted", "kind", "spends_cap", "grid"}


@dataclass(frozen=True)
class Spec:
    """The name of a system and the options written behind it."""

    name: str
    options: Mapping[str, Any]

    def __str__(self) -> str:
        if not self.options:
            return self.name
        return f"{self.name}({', '.join(f'{name}={_written(value)}' for name, value in self.options.items())})"


def parse_spec(text: str) -> Spec:
    """`NAME` or `NAME(option=value, ...)`, values as in YAML. Raises `ValueError` for anything else."""
    found = _SPEC.fullmatch(text)
    options: dict[str, Any] = {}
    for part in (found[2] or "").split(",") if found else ():
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not part.strip():
            continue
        if not equals or not name.isidentifier() or not value:
            found = None
            break
        try:
            options[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ValueError(f"{text!r}: the value of {name} is no YAML") from error
    if found is None:
        raise ValueError(f"{text!r} is not a system: write NAME or NAME(option=value, ...)")
    return Spec(found[1], options)


def with_options(owner: Given, options: Mapping[str, Any], said: str) -> Given:
    """The dataclass `owner` with `options` in place of its plain fields.

    Raises `ValueError`, which names `said`, for an option it lacks or a value of another type.
    """
    known = plain_options(owner)
    kinds = {field.name: get_args(field.type) for field in fields(owner)} if options else {}  # type: ignore[arg-type]
    for name, value in options.items():
        if name not in known:
            there = ", ".join(known) or "none"
            raise ValueError(f"{said}: there is no option {name!r}; there are: {there}")
        if not _fits(value, known[name], kinds[name]):
            raise ValueError(f"{said}: {name} cannot be {value!r}, it is {known[name]!r} otherwise")
    return replace(owner, **options) if options else owner  # type: ignore[type-var]


def plain_options(owner: Any) -> dict[str, Any]:
    """Fields of a dataclass that a spec may set, with their values."""
    assert is_dataclass(owner)
    values = {field.name: getattr(owner, field.name) for field in fields(owner) if field.name not in _NOT_OPTIONS}
    return {name: value for name, value in values.items() if isinstance(value, _PLAIN)}


def _fits(value: Any, usual: Any, kinds: tuple[type, ...]) -> bool:
    """Whether a value may stand where `usual` does: a fraction may be whole, and what is None by default one of `kinds`."""
    if usual is None and value is not None and kinds:
        return type(value) in kinds or (type(value) is int and float in kinds)
    if usual is None or value is None:
        return isinstance(value, _PLAIN)
    if isinstance(usual, float) and not isinstance(value, bool):
        return isinstance(value, int | float)
    return type(value) is type(usual)


def _written(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()
