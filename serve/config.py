"""The options of the server, for command line and YAML file. Loads without torch."""

import ipaddress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final, Literal

from videorouter.routers.backbones.loading_options import LoadingOptions
from videorouter.routers.systems.spec import ROUTED

EngineName = Literal["own", "vllm", "frames"]
KEYS: Final = "VIDEOROUTER_API_KEYS"
"""Environment variable with the keys that clients must send one of, separated by commas."""
UPSTREAM_KEY: Final = "VIDEOROUTER_UPSTREAM_KEY"
"""Environment variable with the key that the upstream wants; `OPENAI_API_KEY` where it is unset."""
_OF_AN_UPSTREAM: Final = ("upstream_model", "upstream_dtype", "upstream_patience", "whole_base")


@dataclass(kw_only=True)
class ServeConfig(LoadingOptions):
    """One server; the base is loaded as `LoadingOptions` say.

    Args:
        model: router folder or Hub id; without one the base alone serves, with systems that need no router
        base: base model, folder or Hub id; with a router only if it does not lie where the router says
        accept_base: use a base that is another one than the routers were trained on, and say what differs
        revision: of a router on the Hub, or of a base alone
        engine: what answers: `own`, the base as it is loaded here; `vllm`, a server at `upstream` with the same model, to which
            embedded prompts are sent; `frames`, any server at `upstream`, to which the chosen frames are sent as pictures
        upstream: address of that server, up to /v1
        upstream_model: the name that it serves the model under, where it serves several
        upstream_dtype: precision of the embeddings sent to a vLLM, which is the engine's; the base's own where null
        upstream_pictures: how the upstream charges for pictures under `frames`: a family (internvl, qwen2_5_vl, qwen3_vl,
            llava_onevision), a vendor's model (gpt-4o, claude, gemini-2.5, ...), or the checkpoint that it serves (folder or Hub
            id); as the base does where null
        upstream_patience: seconds that an upstream may be silent, before its answer and amid it
        name: the name that clients call the model by; that of the router's or the base's folder where null
        system: compression system of requests that name none
        budget: visual tokens of a question that names no budget; the router's own where null
        frames: frames sampled of a video by requests that name no number; the router's own where null
        encoder: CLIP or SigLIP checkpoint of the system relevance_pooling
        whole_base: load all of the base although an upstream answers: for systems that read its attention (adapttoken)
        host: address to listen at; any but this machine's own needs API keys, in VIDEOROUTER_API_KEYS
        port: port to listen at; 0 takes a free one, which is printed
        allowed_hosts: names that clients may reach the server by (Host), beside `host` and this machine's own; `*` takes any
            name, and needs API keys
        allowed_origins: pages of other addresses that may use it (Origin), such as https://lab.example
        media_root: folder whose videos requests may name as file://, and the page lists
        video_hosts: hosts that videos may be fetched from, as HOST (public addresses alone) or HOST:PORT (any address)
        most_waiting: requests in work and waiting; one more is answered 429
        most_connections: open connections; a new one then closes the one that has waited longest without a request, or is closed
            where all have one; as many as the limit of open files (`ulimit -n`) leaves room for, at most 1,000, where null
        rows: answers that the own engine decodes in one batch
        most_tokens: longest answer that a request may ask for
        most_question_tokens: longest question that a system reads to choose tokens by (videorouter, adapttoken, ...); the prompt
            may be longer
        most_frames: most frames of a video, pictures of a message included
        most_seconds: longest video, in seconds
        most_megabytes: largest video, and largest request
        patience: seconds that a request may take to arrive (its headers at most 30), an answer may lie unread, a video may take
            to be fetched, and to be decoded
        cache_gb: memory for decoded frames, visual tokens and router states of videos, in GB
        uploads_gb: disk for uploaded videos, in GB
        decoders: processes that decode videos
        picture_side: longest side, in pixels, of frames that are kept to be sent under `frames`
        log: file that is given one line of JSON a request: when, which way, whose, status, how it was routed, tokens and seconds,
            and nothing of what was asked, shown or answered; the same lines are among what --verbose shows
    """

    model: str | None = None
    base: str | None = None
    accept_base: bool = False
    revision: str | None = None
    engine: EngineName = "own"
    upstream: str | None = None
    upstream_model: str | None = None
    upstream_dtype: Literal["float32", "bfloat16", "float16"] | None = None
    upstream_pictures: str | None = None
    upstream_patience: float = 600.0
    name: str | None = None
    system: str | None = None
    budget: int | None = None
    frames: int | None = None
    encoder: str | None = None
    whole_base: bool = False
    host: str = "127.0.0.1"
    port: int = 8800
    allowed_hosts: list[str] = field(default_factory=list)
    allowed_origins: list[str] = field(default_factory=list)
    media_root: Path | None = None
    video_hosts: list[str] = field(default_factory=list)
    most_waiting: int = 32
    most_connections: int | None = None
    rows: int = 8
    most_tokens: int = 1024
    most_question_tokens: int = 512
    most_frames: int = 512
    most_seconds: float = 4 * 3600.0
    most_megabytes: int = 512
    patience: float = 120.0
    cache_gb: float = 4.0
    uploads_gb: float = 8.0
    decoders: int = 2
    picture_side: int = 768
    log: Path | None = None

    def __post_init__(self) -> None:
        """Raises `ValueError` for options that do not fit together, and numbers that make no sense."""
        if self.model is None and self.base is None:
            raise ValueError("give --model with a router folder, or --base with a base model alone")
        if (self.engine == "own") != (self.upstream is None):
            raise ValueError(
                "an upstream goes with the engines vllm and frames: give --engine vllm --upstream http://127.0.0.1:8000/v1"
            )
        if self.engine == "own" and (beside := [name for name in _OF_AN_UPSTREAM if self._given(name)]):
            raise ValueError(f"{' and '.join(beside)} is about an upstream, and --engine own asks none: leave it out")
        if self.upstream_dtype is not None and self.engine != "vllm":
            raise ValueError("upstream_dtype is of embeddings, which are sent by --engine vllm alone: leave it out")
        if self.upstream is not None and not self.upstream.startswith(("http://", "https://")):
            raise ValueError(f"upstream {self.upstream!r} is no address: give one such as http://127.0.0.1:8000/v1")
        if self.upstream_pictures is not None and self.engine != "frames":
            raise ValueError("upstream_pictures says what pictures cost, which are sent by --engine frames alone")
        if self.media_root is not None and not self.media_root.is_dir():
            raise ValueError(f"media_root {self.media_root} is no folder: name one that holds videos")
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port is {self.port}: give one from 1 to 65535, or 0 for a free one")
        for name in (
            "budget",
            "frames",
            "most_waiting",
            "most_connections",
            "rows",
            "most_tokens",
            "most_question_tokens",
            "most_frames",
            "most_megabytes",
            "decoders",
        ):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}: give 1 or more")
        for name in ("most_seconds", "patience", "upstream_patience", "uploads_gb", "picture_side"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}: give more than 0")
        if not self.cache_gb >= 0:
            raise ValueError(f"cache_gb is {self.cache_gb}: give 0, which keeps nothing, or more")
        if self.frames is not None and self.frames > self.most_frames:
            raise ValueError(
                f"frames is {self.frames}, and at most {self.most_frames} are taken: raise most_frames too"
            )
        self.system = self.system or (ROUTED if self.model is not None else "dense")

    def _given(self, name: str) -> bool:
        """Whether an option is another than where nothing is said."""
        usual = next(option.default for option in fields(self) if option.name == name)
        return bool(getattr(self, name) != usual)

    @property
    def served_name(self) -> str:
        """What clients call the model."""
        return self.name or Path(self.model or self.base or "").name

    @property
    def own_machine_only(self) -> bool:
        """Whether only programs of this machine reach the server."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address, is this machine as seen by itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
