"""Whether a base model is the one that routers were trained on, and what to do where it is not (ours).

Equal file hashes settle it. Where they differ the bases are compared by content: the same weights in other files, or a config that
differs in nothing that can change an answer, are the same base.
"""

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from videorouter.json_files import read_object
from videorouter.routers.backbones.loading_options import HubAccess
from videorouter.routers.backbones.weight_files import weight_files
from videorouter.routers.checkpoints.base_content import (
    BaseContent,
    Difference,
    content_here,
    difference,
    recorded_content,
)
from videorouter.routers.checkpoints.base_identity import BaseModel, CheckpointError, base_identity
from videorouter.routers.checkpoints.canonical_config import unlike_keys
from videorouter.routers.checkpoints.hub_snapshot import CONFIG, cached_snapshot

_log = logging.getLogger(__name__)
ALL_THE_SAME = "or use it all the same with --accept-base (accept_base=True)"


def same_base(
    trained_on: BaseModel,
    found: BaseModel,
    *,
    remedy: str,
    folder: Path | None = None,
    accept: bool = False,
    download: bool = False,
    **access: Unpack[HubAccess],
) -> BaseModel:
    """How the base `found` is to be named by routers that were trained on the base `trained_on`.

    As they name it where the file hashes are equal; else as it is, with the hash of its tensors only if these are the same ones.
    `folder` is the router folder, whose base.json lists the tensors. `download` fetches the weights of `found` to compare them,
    which costs nothing where they are loaded next anyway. With `accept` another base is taken, and the log says in one line what
    differs. Raises `CheckpointError`, which says that too, and `remedy`, for another base that is not accepted.
    """
    if found.sha256 == trained_on.sha256:
        return replace(found, tensors=trained_on.tensors)
    reference = _reference(trained_on, folder, access)
    if reference is None:
        unlike: Difference | None = None
        told = (
            f"has the file hash {found.sha256[:12]}, the routers were trained on {trained_on.sha256[:12]}; what differs "
            f"cannot be told, for their tensors are not recorded and {trained_on.path} is not here as it was"
        )
    else:
        unlike, told = _compared(reference, found, download, accept, access)
        if unlike is not None and not unlike:
            return replace(found, tensors=trained_on.tensors)
    if not accept:
        raise CheckpointError(
            f"the base model in {found.path} is another one than the routers were trained on: it {told}: {remedy}, {ALL_THE_SAME}"
        )
    if os.environ.get("RANK", "0") == "0":
        _log.warning("%s is another base than the routers were trained on, and accepted: it %s", found.path, told)
    return found


def _reference(trained_on: BaseModel, folder: Path | None, access: HubAccess) -> BaseContent | None:
    """What the routers were trained on, as their export lists it, or as it still lies where it was."""
    recorded = None if folder is None else recorded_content(folder, trained_on.tensors)
    if recorded is not None:
        return recorded
    here: HubAccess = {**access, "local_files_only": True}
    try:
        there = content_here(trained_on.path, trained_on.revision, access.get("cache_dir"))
        if (
            there is not None
            and base_identity(trained_on.path, trained_on.revision, **here).sha256 == trained_on.sha256
        ):
            return there
    except ValueError:  # gone, or damaged
        pass
    return None


def _compared(
    reference: BaseContent, found: BaseModel, download: bool, accept: bool, access: HubAccess
) -> tuple[Difference | None, str]:
    """What differs, None where it could not be told, and that in words."""
    cache_dir = access.get("cache_dir")
    content = content_here(found.path, found.revision, cache_dir)
    if content is None:
        snapshot = cached_snapshot(found.path, found.revision, cache_dir)
        keys = [] if snapshot is None else unlike_keys(reference.config, read_object(snapshot / CONFIG))
        if keys and not accept:
            unlike = Difference(keys, [], 0)
            return unlike, f"differs {unlike}"
        if download:
            located = weight_files(found.path, revision=found.revision, **access)
            for name in set(located.file_of.values()):
                located.path(name)
            content = content_here(found.path, found.revision, cache_dir)
    if content is None:
        return None, f"has the file hash {found.sha256[:12]}, and its weights are not here to be compared"
    unlike = difference(reference, content)
    return unlike, f"differs {unlike}"
