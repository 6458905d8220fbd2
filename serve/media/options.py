"""What a server takes videos and pictures from, and how much of them."""

from dataclasses import dataclass, field
from pathlib import Path

from videorouter.serve.media.address import AllowedHosts


@dataclass(frozen=True)
class MediaOptions:
    """Where the media of a request may come from.

    Raises `ValueError` for a folder that is not there, a host that is no name and a bound below 1.

    Args:
        media_root: folder whose files may be named as file:// URLs by whoever may use the server; none without it
        allowed_hosts: hosts that http(s) URLs may name, each as host or host:port; none without it. A host without a port means
            ports 80 and 443 of public addresses; a private address is asked only where its host is given with a port
        most_bytes: bytes that one video or picture may have
        upload_bytes: bytes of all uploads that are kept; the ones longest unused are dropped for new ones
        fetch_timeout: seconds that fetching one URL may take in all, redirects included
        most_redirects: redirects followed for one URL, each to an allowed host
    """

    media_root: Path | None = None
    allowed_hosts: list[str] = field(default_factory=list)
    most_bytes: int = 2**30
    upload_bytes: int = 8 * 2**30
    fetch_timeout: float = 60.0
    most_redirects: int = 3

    def __post_init__(self) -> None:
        AllowedHosts(self.allowed_hosts)
        if self.media_root is not None and not self.media_root.is_dir():
            raise ValueError(f"--media_root {self.media_root}: no such folder")
        if self.most_bytes < 1 or self.fetch_timeout <= 0 or self.most_redirects < 0:
            raise ValueError("most_bytes and fetch_timeout must be above 0, most_redirects at least 0")
        if self.upload_bytes < self.most_bytes:
            raise ValueError(
                f"room for {self.upload_bytes:,} bytes of uploads holds no file of {self.most_bytes:,}:"
                " raise --uploads_gb or lower --most_megabytes"
            )
