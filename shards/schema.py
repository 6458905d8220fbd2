"""What a shard holds, as pydantic models: questions, labels, and the record of one video's frames."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from videorouter.shards.policy import Policy

SCHEMA_VERSION = 2
LARGEST_SIDE = 16384
LARGEST_MEMBER = 2**30
"""Bytes; a hundred frames of 8K video are less."""
KEY_PATTERN = r"^[A-Za-z0-9_-]{1,80}$"
"""A sample's key: webdataset splits a member's name at its first dot, and a tar header holds 100 characters."""

Score = Annotated[int, Field(ge=0, le=100)]
Seconds = Annotated[float, Field(allow_inf_nan=False)]
Split = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
"""Part of a file name."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class VideoQuestion(_Strict):
    """A question about a video, free of the format it came from.

    `video` is a path relative to the videos' folder; `answer` is an option's text where there are options; `evidence`
    holds spans `[start, end)` in seconds.
    """

    id: str = Field(min_length=1)
    video: str = Field(min_length=1)
    question: str = Field(min_length=1)
    options: list[str] | None = None
    answer: str | None = None
    task_type: str
    evidence: list[tuple[Seconds, Seconds]] | None = None
    split: Split | None = None
    source: str
    licence: str | None = None

    @model_validator(mode="after")
    def _answer_is_an_option(self) -> Self:
        if self.options is not None and self.answer is not None and self.answer not in self.options:
            raise ValueError(f"answer {self.answer!r} is not among the options {self.options}")
        if any(end <= start for start, end in self.evidence or []):
            raise ValueError(f"an evidence span ends before it starts: {self.evidence}")
        return self


class FrameRelevance(_Strict):
    """One bool per sampled frame: does it carry the evidence? `scores` 0-100 are kept where a teacher gave them."""

    relevant: list[bool]
    scores: list[Score] | None = None

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        if self.scores is not None and len(self.scores) != len(self.relevant):
            raise ValueError(f"{len(self.scores)} scores for {len(self.relevant)} frames")
        return self


class PolicyLabel(_Strict):
    """The policy that answers a question's category best: `margin` in accuracy (0-1), from `support` probed questions."""

    policy: Policy
    category: str
    margin: float
    support: int


class LabelledQuestion(_Strict):
    """A question with its labels and their origin; `prompt_hash` is the sha256 of the teacher's prompt, `reason` its words."""

    question: VideoQuestion
    relevance: FrameRelevance | None = None
    policy: PolicyLabel | None = None
    origin: Literal["teacher", "spans", "splice"]
    teacher: str | None = None
    prompt_hash: str | None = None
    reason: str | None = None


class VideoRecord(_Strict):
    """Where a sample's frames came from; T entries in `indices`, `seconds` and `frame_bytes` (JPEG sizes in bytes)."""

    uri: str
    duration: Annotated[Seconds, Field(ge=0)]
    fps: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    total: int = Field(ge=1)
    promised: Annotated[int, Field(ge=0)] | None = None
    decoder: str
    sampler: str
    indices: list[Annotated[int, Field(ge=0)]]
    seconds: list[Seconds]
    height: int = Field(ge=1, le=LARGEST_SIDE)
    width: int = Field(ge=1, le=LARGEST_SIDE)
    frame_bytes: list[Annotated[int, Field(ge=1)]]

    @model_validator(mode="after")
    def _one_entry_a_frame(self) -> Self:
        lengths = {len(self.indices), len(self.seconds), len(self.frame_bytes)}
        if len(lengths) != 1 or not self.indices:
            raise ValueError(
                f"indices, seconds and frame_bytes must have one entry a frame, got lengths {sorted(lengths)}"
            )
        return self


class Labels(_Strict):
    """The content of `labels.json`."""

    questions: list[LabelledQuestion]


class SampleEntry(_Strict):
    """What a sidecar knows of one sample.

    `frames` and `questions` are counts; `members` gives (offset, bytes) in the tar of each member by name; `crc32` is of the
    members' contents, in that order.
    """

    key: str = Field(pattern=KEY_PATTERN)
    uri: str
    frames: int
    questions: int
    crc32: int
    members: dict[str, tuple[int, int]]


class Sidecar(_Strict):
    """The JSON beside a shard; `bytes` and `sha256` are the whole tar's."""

    schema_version: int
    fingerprint: str
    sha256: str
    bytes: int
    samples: list[SampleEntry]

    @property
    def questions(self) -> int:
        return sum(sample.questions for sample in self.samples)


class ShardEntry(_Strict):
    """What a manifest knows of one shard; `videos` and `questions` are counts."""

    name: str
    sha256: str
    bytes: int
    videos: int
    questions: int


class Manifest(_Strict):
    """`manifest.json`, written when a data set is finished: its config and fingerprint, its shards in order, its licences."""

    schema_version: int
    fingerprint: str
    config: dict[str, object]
    shards: list[ShardEntry]
    licences: list[str]
    notes: dict[str, object] = {}
