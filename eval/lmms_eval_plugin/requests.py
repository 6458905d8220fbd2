"""The requests of lmms-eval, grouped by video, in terms of our runtime."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from videorouter.routers.answering.answer import AskedQuestion
from videorouter.routers.answering.prompt_parsing import extract_question

MAX_NEW_TOKENS: Final = 32

Documents = Mapping[str, Mapping[str, Any]]
"""`task_dict` of lmms-eval: documents by task, split and number."""


@dataclass(frozen=True)
class VideoRequest:
    """One request: its place among those given, task and document, the video's path, the text, and what belongs to its kind.

    `more` are generation settings of `generate_until`, the continuation of `loglikelihood`.
    """

    place: int
    task: str
    document: int
    video: str
    text: str
    more: Any

    @property
    def asked(self) -> AskedQuestion:
        """Routers read the question alone, the model the text as the task wrote it."""
        question, options = extract_question(self.text)
        return AskedQuestion(question, options, self.text)


def read_requests(requests: Sequence[Any], documents: Documents) -> list[VideoRequest]:
    """Instances of lmms-eval as requests. Raises `ValueError` for one that does not show exactly one video file."""
    return [_read(place, request.args, documents) for place, request in enumerate(requests)]


def by_video(requests: Iterable[VideoRequest]) -> dict[str, list[VideoRequest]]:
    """The requests of every video, videos in the order in which they first occur."""
    groups: dict[str, list[VideoRequest]] = {}
    for request in requests:
        groups.setdefault(request.video, []).append(request)
    return groups


def _read(place: int, args: Sequence[Any], documents: Documents) -> VideoRequest:
    if len(args) < 6:
        raise ValueError(
            f"a request for {args[0]!r} shows no video: metrics such as acc_mutual_info cannot be computed"
        )
    text, more, to_visual, number, task, split = args[:6]
    document = documents[task][split][number]
    if callable(more):  # `loglikelihood` tasks give the continuation as a function of the document
        more = more(document)
    return VideoRequest(
        place, task, number, _video(to_visual, document, f"document {number} of task {task}"), text, more
    )


def _video(to_visual: Callable[[Any], Any], document: Any, where: str) -> str:
    shown = to_visual(document)
    if isinstance(shown, list | tuple) and len(shown) == 1 and isinstance(shown[0], str):
        return shown[0]
    kinds = [type(one).__name__ for one in shown] if isinstance(shown, list | tuple) else type(shown).__name__
    raise ValueError(
        f"{where} shows {kinds}, one path of a video file is needed: choose a video task (longvideobench_val_v, not _i)"
    )


def new_tokens(settings: Mapping[str, Any]) -> int:
    """The most tokens that a task wants."""
    return int(settings.get("max_new_tokens") or MAX_NEW_TOKENS)


def wants_sampling(settings: Mapping[str, Any]) -> bool:
    """Whether a task asks for anything but greedy decoding."""
    return bool(settings.get("do_sample")) or int(settings.get("num_beams") or 1) > 1


def until(text: str, settings: Mapping[str, Any]) -> str:
    """`text` up to the first of a task's stop strings; white space is none, for answers are stripped of it."""
    stops = settings.get("until") or []
    for stop in [stops] if isinstance(stops, str) else stops:
        text = text.split(stop)[0] if stop.strip() or "\n" in stop else text
    return text.strip()
