"""The JSON of a reply, taken out of what models write around it (ours)."""


def json_text(raw: str) -> str:
    """The JSON in `raw`, without thoughts, code fences, a byte-order mark and lone surrogates; `raw` where there is none."""
    raise NotImplementedError
