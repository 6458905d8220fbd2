"""Fields of a JSON object, read by type: null is not given, and what is wrong is said with the field's name (ours)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from videorouter.serve.errors import RequestError

LONGEST_NAME: Final = 512
INT32: Final = 2**31 - 1


@dataclass(frozen=True)
class TypedFields:
    """The fields of one object, which stands at `place` in the body. Every method raises `RequestError` for a wrong value."""

    values: Mapping[str, Any]
    place: str = ""

    def param(self, name: str) -> str:
        """The field as errors name it."""
        return f"{self.place}.{name}" if self.place else name

    def whole(self, name: str, least: int, most: int = INT32) -> int | None:
        """A whole number in a range; 3.0 is none, nor is true."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self.wrong(name, f"a whole number from {least} to {most}")
        return value

    def number(self, name: str, least: float, most: float) -> float | None:
        """A number in a range."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
            raise self.wrong(name, f"a number from {least:g} to {most:g}")
        return float(value)

    def flag(self, name: str) -> bool | None:
        """True or false."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(name, "true or false")
        return value

    def text(self, name: str, longest: int | None = None) -> str | None:
        """Text that is more than spaces, of at most so many characters."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(name, "text that is not empty")
        if longest is not None and len(value) > longest:
            raise RequestError(
                f"{self.param(name)} has {len(value)} characters: give at most {longest}", param=self.param(name)
            )
        return value

    def fields(self, name: str) -> "TypedFields | None":
        """An object."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.wrong(name, "an object")
        return TypedFields(value, self.param(name))

    def wrong(self, name: str, wanted: str) -> RequestError:
        """The error of a field that is not what is `wanted`."""
        return RequestError(
            f"{self.param(name)} is {shown(self.values.get(name))}: give {wanted}", param=self.param(name)
        )


def shown(value: Any) -> str:
    """A value in an error: numbers and short texts as they are, of all else the type."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return (
            "empty" if not value.strip() else ascii(value) if len(value) <= 40 else f"text of {len(value)} characters"
        )
    return "a list" if isinstance(value, list) else "an object" if isinstance(value, dict) else type(value).__name__
