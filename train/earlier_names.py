"""YAML written before version 0.2, when packages had no common name: its class paths are translated as it is loaded.

The old names are never importable: a class that existed under two names would be two classes.
"""

import re

import yaml
from jsonargparse import get_loader, set_loader

_CLASS_PATH = re.compile(r"""(?m)((?:^|[\s{,-])["']?class_path["']?:[ \t]*["']?)(?=train\.)""")


def with_current_names(text: str) -> str:
    """YAML (or JSON) with `class_path: train...` as `class_path: videorouter.train...`."""
    return _CLASS_PATH.sub(r"\1videorouter.", text)


def read_earlier_names() -> None:
    """Let jsonargparse load configs of earlier versions, wherever it loads YAML."""
    load = get_loader("yaml")
    set_loader("yaml", lambda text: load(with_current_names(text)), exceptions=(yaml.YAMLError,))
