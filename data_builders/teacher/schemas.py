"""Reply schemas as they are sent: without what strict vendors refuse and some grammars ignore.

Bounds are checked on the parsed reply, by the same models.
"""

from functools import lru_cache
from typing import Any

from pydantic import BaseModel

_BOUNDS = frozenset(
    {
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"),
        *("pattern", "format", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "default"),
    }
)
_BY_NAME = ("properties", "$defs")


@lru_cache
def sent_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a reply: every property required and no other allowed, everywhere, and no bounds."""
    plain: dict[str, Any] = _plain(model.model_json_schema())
    return plain


def _plain(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:  # nothing may stand beside one
        return {"$ref": schema["$ref"]}
    kept = {
        name: {key: _plain(one) for key, one in value.items()} if name in _BY_NAME else _plain(value)
        for name, value in schema.items()
        if name not in _BOUNDS
    }
    if "properties" in kept:
        kept |= {"required": list(kept["properties"]), "additionalProperties": False}
    return kept
