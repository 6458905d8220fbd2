"""What a card says of the base model: its id on the Hub, and the licence that its own card states (ours)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from videorouter.routers.backbones.loading import could_be_on_the_hub

_CARD: Final = "README.md"
_LICENCE: Final = ("license", "license_name", "license_link")


@dataclass(frozen=True)
class BaseFacts:
    """`hub` is None for a base that lies in a folder; of its licence each part is None where its card states none."""

    hub: str | None = None
    license: str | None = None
    license_name: str | None = None
    license_link: str | None = None

    @property
    def front(self) -> dict[str, Any]:
        """The entries of a card's front matter, without what is unknown."""
        told = {"base_model": self.hub} | {name: getattr(self, name) for name in _LICENCE}
        return {name: value for name, value in told.items() if value is not None}


def base_facts(path: str, revision: str | None = None) -> BaseFacts:
    """Of a folder or Hub id. A card that is missing, out of reach or unreadable states nothing."""
    local = Path(path).is_dir()
    card = Path(path) / _CARD if local else _from_the_hub(path, revision)
    stated = {} if card is None or not card.is_file() else _front_matter(card)
    licence = {name: value for name in _LICENCE if isinstance(value := stated.get(name), str)}
    hub = path if not local and could_be_on_the_hub(path) else None
    return BaseFacts(hub, **licence)


def _front_matter(card: Path) -> dict[str, Any]:
    from huggingface_hub.repocard import metadata_load

    try:
        return metadata_load(card) or {}
    except Exception:  # YAML that is none, or no mapping: the client raises several kinds
        return {}


def _from_the_hub(path: str, revision: str | None) -> Path | None:
    if not could_be_on_the_hub(path):
        return None
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(path, _CARD, revision=revision))
    except Exception:  # no card, no network, nothing in the cache: the client and its HTTP library raise several kinds
        return None
