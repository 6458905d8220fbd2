"""Decoding in a process of its own: native decoders can hang or die on foreign files, and only a process can be killed."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from video.errors import CorruptVideo, VideoTimeout
from video.frames import SampledFrames


class DecodeWorker:
    """One decoding process, started when first needed and again after it was killed or died."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None

    def run(self, deadline: float, decode: Callable[..., SampledFrames], path: Path, *arguments: Any) -> SampledFrames:
        """`decode(path, *arguments)`, one of `video.decode`'s functions, within `deadline` seconds.

        Raises what that raises, `VideoTimeout` at the deadline, `CorruptVideo` where the decoder died of the file.
        """
        pipe = self._start()
        try:
            pipe.send((decode, path, *arguments))
            if not pipe.poll(deadline):
                self.close()
                raise VideoTimeout(path, f"not decoded after {deadline:g} s; the decoding process was killed")
            outcome = pipe.recv()
        except (EOFError, ConnectionError) as error:
            self.close()
            raise CorruptVideo(path, "the decoding process died of it") from error
        if isinstance(outcome, Exception):
            raise outcome
        assert isinstance(outcome, SampledFrames)
        return outcome

    def close(self) -> None:
        """Kill the process, if there is one."""
        if self._process is not None and self._pipe is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
        self._process = self._pipe = None

    def _start(self) -> Connection:
        if self._process is None or not self._process.is_alive() or self._pipe is None:
            self.close()
            self._pipe, theirs = self._context.Pipe()
            self._process = self._context.Process(target=_serve, args=(theirs,), daemon=True)
            self._process.start()
            theirs.close()
        return self._pipe


def _serve(pipe: Connection) -> None:
    """Answer requests until the other end closes."""
    while True:
        try:
            decode, *arguments = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(decode(*arguments))
        except Exception as error:
            pipe.send(error)
