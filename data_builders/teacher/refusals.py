"""What a refusal says, apart from the one request it was given to (ours)."""


def shape_of(status: int | None, code: str | None, message: str) -> str:
    """A refusal in a few words, without ids, numbers, addresses, hashes and quoted values: equal for the same kind of refusal."""
    raise NotImplementedError


def names_moderation(body: str) -> bool:
    """Whether a refusal's body puts it down to moderation, so to what the item shows or asks."""
    raise NotImplementedError
