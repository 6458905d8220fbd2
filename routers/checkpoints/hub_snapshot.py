"""What is known of a model repository's files without reading them: by the Hub, or where it is not asked, by its cache."""

import hashlib
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Unpack

from videorouter.json_files import read_object
from videorouter.routers.backbones.loading import asking_the_hub
from videorouter.routers.backbones.loading_options import HubAccess
from videorouter.routers.backbones.weight_files import INDEX, WHOLE
from videorouter.routers.checkpoints.remembered_hashes import cache_folder, file_sha256, recalled, remember

_log = logging.getLogger(__name__)
CONFIG: Final = "config.json"


@dataclass(frozen=True)
class HubFiles:
    """Of one commit: sha256 of config.json, and of every top-level safetensors file by name."""

    commit: str
    config: str
    weights: dict[str, str]


def hub_files(repo: str, revision: str | None = None, **access: Unpack[HubAccess]) -> HubFiles:
    """The files of a repository; no weight is downloaded or read.

    The Hub tells the sha256 of LFS files. With HF_HUB_OFFLINE or `local_files_only` it is not asked, and without a network it does
    not answer: then it is what the cache tells, by the names of its files and by what the Hub told of the same commit before.

    Raises what huggingface_hub raises for a repository that is missing, private or unreachable where the cache lacks it, as
    `ValueError` that names it; and `ValueError` for a snapshot of which only some weight files were ever downloaded.
    """
    from huggingface_hub import constants

    cache_dir = access.get("cache_dir")
    if access.get("local_files_only") or constants.HF_HUB_OFFLINE:
        return _cached(repo, revision, cache_dir)
    try:
        return _asked(repo, revision, cache_dir, access.get("token"))
    except Exception as error:  # the client's own, or its HTTP library's, which is another in every major version
        if cached_snapshot(repo, revision, cache_dir) is None:
            if isinstance(error, OSError | ValueError):
                raise
            raise ValueError(
                f"{repo} was not found on the Hub or not reached: {' '.join(str(error).split())}"
            ) from error
        _log.info("the Hub did not tell of %s (%s): its cache does", repo, error)
    return _cached(repo, revision, cache_dir)


def cached_snapshot(repo: str, revision: str | None = None, cache_dir: str | Path | None = None) -> Path | None:
    """The folder in the Hub's cache that holds (some of) the files of a repository at `revision`; None where it has none."""
    from huggingface_hub import try_to_load_from_cache

    try:
        found = try_to_load_from_cache(repo, CONFIG, cache_dir=cache_dir, revision=revision)
    except ValueError:  # what the Hub would refuse as an id
        return None
    return Path(found).parent if isinstance(found, str) else None


def missing_weights(folder: Path) -> list[str]:
    """The weight files that a checkpoint folder or snapshot lacks, of those that its index names.

    Raises `ValueError` for a damaged index.
    """
    if (folder / WHOLE).is_file():
        return []
    if not (folder / INDEX).is_file():
        return [INDEX]
    wanted = read_object(folder / INDEX).get("weight_map")
    if not isinstance(wanted, dict):
        raise ValueError(f"{folder / INDEX} names no weight files: write it again, or fetch it anew")
    return sorted(name for name in set(wanted.values()) if not (folder / name).is_file())


def _asked(repo: str, revision: str | None, cache_dir: str | Path | None, token: str | bool | None) -> HubFiles:
    from huggingface_hub import HfApi, hf_hub_download

    def fetched(name: str, revision: str | None) -> Path:
        return Path(hf_hub_download(repo, name, revision=revision, cache_dir=cache_dir, token=token))

    with asking_the_hub(repo):
        config = fetched(CONFIG, revision)  # by the name asked for: the cache then knows which commit that name means
        commit = config.parent.name
        info = HfApi(token=token).model_info(repo, revision=commit, files_metadata=True)
        top: list[Any] = [file for file in info.siblings or [] if "/" not in file.rfilename]
        weights = {
            file.rfilename: file.lfs.sha256 if file.lfs else file_sha256(fetched(file.rfilename, commit))
            for file in top
            if file.rfilename.endswith(".safetensors")
        }
    found = HubFiles(commit, _sha256(config), weights)
    remember(_entry(repo, commit), asdict(found))
    return found


def _cached(repo: str, revision: str | None, cache_dir: str | Path | None) -> HubFiles:
    snapshot = cached_snapshot(repo, revision, cache_dir)
    if snapshot is None:
        at = f" at revision {revision}" if revision else ""
        raise ValueError(
            f"{repo} is not a folder here, and not in the Hub's cache{at}: fetch it while the Hub can be reached "
            f"(`hf download {repo}`)"
        )
    told = recalled(_entry(repo, snapshot.name))
    if told:
        return HubFiles(**told)
    if (snapshot / WHOLE).is_file() or (snapshot / INDEX).is_file():
        missing = missing_weights(snapshot)
        if missing:
            raise ValueError(
                f"the Hub's cache holds only some weight files of {repo} at {snapshot.name[:12]} ({missing[0]} is missing), so its "
                f"hash cannot be told offline: fetch it while the Hub can be reached (`hf download {repo}`)"
            )
    weights = {path.name: file_sha256(path) for path in snapshot.glob("*.safetensors")}
    return HubFiles(snapshot.name, _sha256(snapshot / CONFIG), weights)


def _sha256(config: Path) -> str:
    return hashlib.sha256(config.read_bytes()).hexdigest()


def _entry(repo: str, commit: str) -> Path:
    return cache_folder() / "commits" / repo.replace("/", "--") / f"{commit}.json"
