"""The settings stand in pyproject.toml; this only refuses a checkout whose links are files, of which no wheel can be made."""

import sys
from pathlib import Path

from setuptools import setup

if (Path(__file__).parent / "videorouter" / "routers").is_file():
    sys.exit("this checkout has no symbolic links: run 'git config core.symlinks true && git checkout -- videorouter'")
setup()
