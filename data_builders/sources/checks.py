"""What no question may be, whatever format it came from: shards of earlier releases may hold such ones, and still read."""

from collections import Counter
from collections.abc import Sequence

from videorouter.data_builders.sources.rows import Malformed
from videorouter.routers.systems.query import letters
from videorouter.shards.schema import VideoQuestion


def check_question(question: VideoQuestion) -> None:
    """Raises `Malformed`: a blank id, video or question, options that cannot be told apart, evidence before the video."""
    for name in ("id", "video", "question"):
        if not getattr(question, name).strip():
            raise Malformed(f"`{name}` is blank")
    try:
        question.model_dump_json()
    except ValueError as error:  # JSON may spell halves of characters
        raise Malformed("a text of it holds half of a character, which no file can") from error
    if question.options is not None:
        _check_options(question.options)
    for start, end in question.evidence or []:
        if start < 0:
            raise Malformed(f"the span {start}-{end} s begins before the video", "bad_span")


def plain_option(option: str) -> str:
    """An option as it is compared: nobody tells two apart that differ in case and blanks alone."""
    return " ".join(option.split()).casefold()


def _check_options(options: Sequence[str]) -> None:
    if not options:
        raise Malformed("`options` is empty: leave it out where there are none")
    plain = [plain_option(option) for option in options]
    if "" in plain:
        raise Malformed(f"an option is blank: {list(options)}")
    if len(set(plain)) < len(plain):
        repeated = next(option for option, count in Counter(plain).items() if count > 1)
        raise Malformed(f"the option {repeated!r} stands more than once: {list(options)}")
    try:
        letters(options)
    except ValueError as error:
        raise Malformed(str(error)) from error
