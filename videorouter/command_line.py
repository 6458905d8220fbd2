"""What every command line shares: how it ends, configs found by name, options written with dashes or underscores."""

import errno
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import Final

from videorouter import __version__
from videorouter.interruption import EXIT_CODE as INTERRUPTED
from videorouter.interruption import ending_soon_after_interrupt
from videorouter.run_log import log_to_terminal

CONFIGS = Path(__file__).parent / "configs"


def find_config(name: str | Path) -> Path:
    """Return the path of a config: an existing file as it is, else the shipped one of that name.

    `configs/train/image_router.yaml`, `train/image_router.yaml` and `train/image_router` name the same shipped file,
    so that a documented command line works from any folder. Raises `FileNotFoundError` listing what is shipped.
    """
    given = Path(name)
    if given.is_file():
        return given
    parts = given.parts[1:] if given.parts[:1] == ("configs",) else given.parts
    shipped = CONFIGS.joinpath(*parts)
    for candidate in (shipped, shipped.with_suffix(".yaml")):
        if candidate.is_file():
            return candidate
    raise FileNotFoundError(
        f"no config {str(name)!r}: neither a file nor shipped. Shipped: {', '.join(shipped_configs())}"
    )


def shipped_configs() -> list[str]:
    """Names of all shipped configs, such as `train/image_router.yaml`, sorted."""
    return sorted(path.relative_to(CONFIGS).as_posix() for path in CONFIGS.glob("*/*.yaml"))


def with_config_paths(arguments: list[str]) -> list[str]:
    """A command line in which the value of every `--config` is the path `find_config` gives for it."""
    found = list(arguments)
    for position, word in enumerate(found):
        if word in ("--config", "-c") and position + 1 < len(found):
            found[position + 1] = str(_checked(find_config(found[position + 1])))
        elif word.startswith("--config="):
            found[position] = f"--config={_checked(find_config(word.removeprefix('--config=')))}"
    return found


def _checked(config: Path) -> Path:
    """`config`, once it is seen to hold options by name. Raises `ValueError`; a parser's own error would not name the file."""
    import yaml

    try:
        held = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{config} is no YAML ({' '.join(str(error).split())}): fix it there") from error
    if not isinstance(held, dict):
        found = "nothing" if held is None else f"a {type(held).__name__}"
        raise ValueError(f"{config} holds {found}, no options by name: write lines such as `out: runs/mine`")
    return config


def underscored(arguments: Iterable[str]) -> list[str]:
    """A command line with `--max-usd 3` as `--max_usd 3`: both ways of writing an option are common, jsonargparse knows one."""
    return [_underscored(word) for word in arguments]


def _underscored(word: str) -> str:
    name, equals, value = word.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value if name.startswith("--") else word


Main = Callable[[list[str]], int | None]


def command(how_to_resume: str | Mapping[str, str] = "") -> Callable[[Main], Callable[..., int]]:
    """Make a command's `main(arguments)` end as people expect: its exit code, or one line on standard error.

    A mistake of the user (`ValueError`, `OSError`) is one line and exit code 1, Ctrl-C one line with `how_to_resume` (for each
    subcommand where it is a mapping), and exit code 130. `--verbose` shows the log and the traceback of an
    error; `--version` prints the version. Wrong usage is the parser's: exit code 2.
    """

    def around(main: Main) -> Callable[..., int]:
        @wraps(main)
        def run(arguments: list[str] | None = None) -> int:
            given = sys.argv[1:] if arguments is None else list(arguments)
            if given == ["--version"]:
                print(f"videorouter {__version__}")
                return 0
            if verbose := "--verbose" in given:
                given.remove("--verbose")
            log_to_terminal(verbose)
            more = how_to_resume if isinstance(how_to_resume, str) else how_to_resume.get(given[0] if given else "", "")
            line = f"interrupted{': ' + more if more else ''}"
            with ending_soon_after_interrupt(line, process_ends=arguments is None) as tell:
                try:
                    return main(given) or 0
                except KeyboardInterrupt:
                    tell()
                    return INTERRUPTED
                except SystemExit as left:
                    if isinstance(left.__context__, KeyboardInterrupt):  # Lightning shuts down by itself
                        tell()
                        return INTERRUPTED
                    raise
                except BrokenPipeError:  # `... | head` has seen enough
                    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                    return 1
                except (ValueError, OSError) as error:
                    if verbose:
                        traceback.print_exc()
                    print(f"error: {error_line(error)}", file=sys.stderr)
                    return 1

        return run

    return around


def error_line(error: BaseException) -> str:
    """An error as one line: our own messages as they are written, those of libraries without their line breaks."""
    raised = error.__traceback__
    while raised is not None and raised.tb_next is not None:
        raised = raised.tb_next
    own = raised is not None and str(raised.tb_frame.f_globals.get("__name__", "")).startswith("videorouter.")
    if isinstance(error, OSError) and error.filename is not None and error.errno in REMEDIES:
        return f"{error.filename}: {REMEDIES[error.errno]}"
    text = str(error) if own else " ".join(str(error).split())
    return text or type(error).__name__


REMEDIES: Final = {
    errno.ENOENT: "no such file or folder: check the path",
    errno.EEXIST: "a file of that name is in the way: choose another path, or move it",
    errno.ENOTDIR: "a part of this path is a file, not a folder: choose another path",
    errno.EISDIR: "this is a folder, a file is needed: choose another path",
    errno.EACCES: "not permitted: change the permissions, or choose another path",
    errno.EPERM: "not permitted: change the permissions, or choose another path",
    errno.EROFS: "this disk can only be read: choose a path on another",
    errno.ENOSPC: "the disk is full: make room, or choose a path on another",
}
"""What the operating system says of a path, and what to do."""


def typed_command(package: str) -> str:
    """The command as it was typed: `videorouter routers`, or `python -m routers` in a checkout."""
    if _typed_command:
        return _typed_command[-1]
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    name = spec.name.removesuffix(".__main__") if spec is not None else ""
    return f"python -m {name}" if name.rpartition(".")[2] == package else f"videorouter {package}"


def set_typed_command(text: str) -> None:
    """Let `typed_command` give `text`: `videorouter answer` where the verb stands at top level."""
    _typed_command.append(text)


_typed_command: list[str] = []
