"""To the Hub: a finished folder, with its card, as one commit. Repeating a push that failed ends in the same state."""

from dataclasses import dataclass
from pathlib import Path

from videorouter.shards.card import dataset_card
from videorouter.shards.sidecar import MANIFEST, finished_manifest
from videorouter.shards.stats import statistics
from videorouter.shards.verify import verify
from videorouter.shards.writer import write_atomically

CARD = "README.md"


class PushFailed(OSError):
    """The Hub refused, or was not reached."""


@dataclass(frozen=True)
class Pushed:
    """The address and id of the commit; `files` it holds."""

    url: str
    commit: str
    files: int


def write_card(folder: Path, name: str) -> Path:
    """Write the card `README.md` of a finished folder; its path."""
    write_atomically(folder / CARD, dataset_card(finished_manifest(folder), statistics(folder), name))
    return folder / CARD


def push(folder: Path, repo_id: str, *, private: bool = False, revision: str | None = None) -> Pushed:
    """Upload the data set as repository `repo_id` (made where there is none); shards no longer in it are deleted there.

    The token and address are huggingface_hub's (`hf auth login`, HF_TOKEN, HF_ENDPOINT). What the Hub holds already is not
    sent again.

    Raises:
        ShardError: where the folder is unfinished or damaged; nothing is sent.
        PushFailed: where the Hub refuses or is not reached.
    """
    from huggingface_hub import HfApi

    verdict = verify(folder)
    if verdict.problems:
        raise verdict.problems[0]
    manifest = finished_manifest(folder)
    write_card(folder, repo_id)
    names = [MANIFEST, CARD, *(name for shard in manifest.shards for name in (shard.name, f"{shard.name[:-4]}.json"))]
    api = HfApi()
    try:
        api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo_id,
            repo_type="dataset",
            folder_path=folder,
            allow_patterns=names,
            delete_patterns=["*.tar", "*.json"],
            revision=revision,
            commit_message=f"Data set {manifest.fingerprint[:12]}",
        )
    except Exception as error:  # the client's own, its HTTP library's (another in every major version), RuntimeError
        reason = " ".join(str(error.__cause__ or error).split())
        raise PushFailed(
            f"the Hub did not take {repo_id} ({reason}): it holds what it held before; the same command goes on"
        ) from error
    return Pushed(commit.commit_url, commit.oid, len(names))
