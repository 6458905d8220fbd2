"""What a refusal says, apart from the one request it was given to (ours)."""

import re

LONGEST_SHAPE = 160

_OF_ONE_REQUEST = re.compile(
    r"""
    [a-z]+://\S+                                        # addresses
    | \b(?:request|trace|correlation|session)[\s_-]*id\W+[\w-]+  # ids by their name
    | \b(?:req|chatcmpl|cmpl|msg|call)[-_]\w+           # ids by their prefix
    | "[^"]*" | `[^`]*` | (?<!\w)'[^']*'(?!\w)          # quoted values
    | [\w./+=-]*\d[\w./+=-]*                            # numbers, hashes, names and paths with digits
    """,
    re.VERBOSE | re.IGNORECASE,
)

_MODERATION = re.compile(
    r"""
    content[\s_-]*(?:filter|management|moderation|policy|safety|security|risk) | moderat(?:ion|ed)\b | \bflagged\b
    | safety[\s_-]*(?:system|filter|setting|reason|polic|check|violation) | (?:blocked|prohibited|refused)\b.{0,40}\bsafety\b
    | responsible[\s_-]*ai | data_inspection | (?:usage|acceptable[\s_-]*use)[\s_-]*polic
    | prohibited[\s_-]*content | (?:inappropriate|unsafe|harmful|explicit|sensitive)[\s_-]*(?:content|image|input|text|word)
    | \bnsfw\b | guardrail | 敏感 | 违规 | 不当内容
    """,
    re.VERBOSE | re.IGNORECASE,
)


def shape_of(status: int | None, code: str | None, message: str) -> str:
    """A refusal in a few words, without ids, numbers, addresses, hashes and quoted values: equal for the same kind of refusal."""
    kind = _words(code or "")
    parts = [f"HTTP {status}" if status else "", kind, _words(message)]
    return ": ".join(part for part in parts if part)[:LONGEST_SHAPE]


def names_moderation(body: str) -> bool:
    """Whether a refusal's body puts it down to moderation, so to what the item shows or asks."""
    return _MODERATION.search(body) is not None


def _words(text: str) -> str:
    kept = _OF_ONE_REQUEST.sub(" ", text).casefold()
    return " ".join(re.findall(r"[^\W\d]+", kept))
