"""The log of a run: warnings on the terminal, everything it did in `run.log` of its folder."""

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

LOG: Final = logging.getLogger("videorouter")
RUN_LOG: Final = "run.log"
LINE: Final = "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"


@contextmanager
def log_in(folder: Path, rank: int = 0, also: Sequence[str] = ()) -> Iterator[None]:
    """While the body runs, append our log and the loggers named in `also` to `folder/run.log` (other ranks: `run-RANK.log`).

    What ends the body early is logged with its traceback, whatever the terminal shows. Raises `OSError` where the folder cannot
    be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = logging.FileHandler(folder / (RUN_LOG if rank == 0 else f"run-{rank}.log"), encoding="utf-8")
    file.setFormatter(logging.Formatter(LINE))
    file.setLevel(logging.INFO)
    loggers, level = [LOG, *map(logging.getLogger, also)], LOG.level
    if LOG.getEffectiveLevel() > logging.INFO:
        LOG.setLevel(logging.INFO)
    for logger in loggers:
        logger.addHandler(file)
    try:
        yield
    except BaseException as error:
        told = "interrupted" if isinstance(error, KeyboardInterrupt) else "stopped by an error"
        file.handle(LOG.makeRecord(LOG.name, logging.ERROR, "", 0, told, (), sys.exc_info()))
        raise
    finally:
        for logger in loggers:
            logger.removeHandler(file)
        file.close()
        LOG.setLevel(level)


def log_to_terminal(verbose: bool) -> None:
    """Show warnings of our log on standard error, with `verbose` everything."""
    from rich.console import Console
    from rich.logging import RichHandler

    for handler in [handler for handler in LOG.handlers if isinstance(handler, RichHandler)]:
        LOG.removeHandler(handler)
    handler = RichHandler(console=Console(markup=False, stderr=True), show_path=verbose, rich_tracebacks=False)
    handler.setLevel(logging.DEBUG if verbose else logging.WARNING)
    LOG.setLevel(logging.DEBUG if verbose else logging.INFO)
    LOG.addHandler(handler)
