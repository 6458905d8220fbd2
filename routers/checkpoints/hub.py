"""Router folders to and from the Hub: a push is one commit, repeatable; a load fetches what a router folder holds and no more."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Unpack

from yaml import YAMLError

from videorouter.routers.backbones.language_weights import ADAPTER, WHOLE
from videorouter.routers.backbones.loading import asking_the_hub, could_be_on_the_hub
from videorouter.routers.backbones.loading_options import HubAccess
from videorouter.routers.checkpoints.base_content import BASE
from videorouter.routers.checkpoints.base_facts import base_facts
from videorouter.routers.checkpoints.base_identity import CheckpointError, base_identity
from videorouter.routers.checkpoints.card import card_on_the_hub, model_card
from videorouter.routers.checkpoints.language_inside import language_inside
from videorouter.routers.checkpoints.local_paths import remove_local_paths
from videorouter.routers.checkpoints.router_folder import CARD, WEIGHTS, RouterConfig, read_config, write_config
from videorouter.routers.checkpoints.same_base import same_base
from videorouter.routers.checkpoints.training_history import HISTORY, SETTINGS, read_history

BESIDE: Final = (CARD, BASE, HISTORY, SETTINGS, f"{ADAPTER}/*", f"{WHOLE}/*")
FILES: Final = ("config.json", WEIGHTS, *BESIDE)
"""Of a router folder; whatever else lies in it stays at home."""
DESCRIPTION: Final = ("config.json", BASE, f"{ADAPTER}/*.json")
"""What tells of a router folder without its weights."""


class PushFailed(OSError):
    """The Hub refused, or was not reached."""


@dataclass(frozen=True)
class Pushed:
    """The address and id of the commit."""

    url: str
    commit: str


def push(
    folder: Path,
    repo_id: str,
    *,
    base: str | None = None,
    accept_base: bool = False,
    private: bool = False,
    revision: str | None = None,
) -> Pushed:
    """Upload a router folder as model repository `repo_id`, made where there is none. The folder itself stays as it is.

    Paths of this machine are left out of what is sent, and the card takes base and licence from the base.

    Others must find the base model: where the folder names one on this machine, `base` is its id on the Hub, whose weights must
    be the same (`same_base`), unless `accept_base` takes others. The token and address are huggingface_hub's (`hf auth login`,
    HF_TOKEN, HF_ENDPOINT). What the Hub holds already is not sent again; a push that failed is repeated with the same command.

    Raises:
        CheckpointError: where the folder is no export, or its base is not to be found by others; nothing is sent.
        PushFailed: where the Hub refuses or is not reached.
    """
    config = read_config(folder)
    if base is not None and (Path(base).is_dir() or not could_be_on_the_hub(base)):
        raise CheckpointError(
            f"--base {base} is a folder of this machine, or no id: say under which id the Hub has the base"
        )
    if base is not None:
        remedy = "give the id of that very model"
        found = same_base(config.base, base_identity(base), remedy=remedy, folder=folder, accept=accept_base)
        config = replace(config, base=found)
    elif not could_be_on_the_hub(config.base.path) or Path(config.base.path).is_dir():
        raise CheckpointError(
            f"{folder} names its base as a folder of this machine ({config.base.path}): say with --base under which id the Hub "
            "has it"
        )
    with tempfile.TemporaryDirectory() as stage:
        _copy(folder, Path(stage), FILES)
        write_config(Path(stage), config)
        repositories = [name for training in read_history(folder) for name in training.hub_ids]
        remove_local_paths(Path(stage), config.base.path, repositories)
        _write_card(Path(stage), repo_id, config)
        return _committed(Path(stage), repo_id, private, revision)


def router_folder(
    path: str | Path, revision: str | None = None, files: Sequence[str] = FILES, **access: Unpack[HubAccess]
) -> Path:
    """The folder `path`, or the local copy of the Hub repository of that id at `revision`; of it only `files` are fetched.

    Raises `CheckpointError` for what is neither, and what huggingface_hub raises for a repository that is missing, private or
    unreachable.
    """
    if Path(path).is_dir():
        return Path(path)
    if not could_be_on_the_hub(str(path)):
        raise CheckpointError(
            f"{path} is not a folder: give one that `videorouter routers export` wrote, or an id on the Hub"
        )
    from huggingface_hub import snapshot_download

    with asking_the_hub(str(path)):
        return Path(snapshot_download(str(path), revision=revision, allow_patterns=list(files), **access))


def copy_beside_weights(folder: Path, out: Path) -> None:
    """Copy what a router folder holds beside config and heads: its card, its trainings' settings, stage 3's language weights.

    What `out` held of these before is removed: an earlier export's language model is not this one's.
    """
    if folder.resolve() != out.resolve():
        remove_router_files(out)
        _copy(folder, out, BESIDE)


def remove_router_files(folder: Path) -> None:
    """Delete the files of a router folder; whatever else lies in it stays."""
    for part in (ADAPTER, WHOLE):
        shutil.rmtree(folder / part, ignore_errors=True)
    for path in [path for pattern in FILES for path in folder.glob(pattern)]:
        path.unlink()


def _copy(folder: Path, out: Path, patterns: Sequence[str]) -> None:
    for path in (path for pattern in patterns for path in folder.glob(pattern)):
        target = out / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _write_card(folder: Path, repo_id: str, config: RouterConfig) -> None:
    """For the repository, from the folder's own card where it has one."""
    facts, inside, card = base_facts(config.base.path, config.base.revision), language_inside(folder), folder / CARD
    there = card.is_file() and card.read_text(encoding="utf-8")
    own = there or model_card(config, read_history(folder), base=facts, language=inside)
    try:
        card.write_text(card_on_the_hub(own, repo_id, facts, inside), encoding="utf-8")
    except (ValueError, YAMLError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"{CARD} begins with front matter that the Hub does not read ({reason}): correct it"
        ) from error


def _committed(folder: Path, repo_id: str, private: bool, revision: str | None) -> Pushed:
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        api.create_repo(repo_id, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            delete_patterns=list(FILES),
            revision=revision,
            commit_message="Router",
        )
    except Exception as error:  # the client's own, its HTTP library's (another in every major version), RuntimeError
        reason = " ".join(str(error.__cause__ or error).split())
        raise PushFailed(
            f"the Hub did not take {repo_id} ({reason}): it holds what it held before; the same command resumes"
        ) from error
    return Pushed(commit.commit_url, commit.oid)
