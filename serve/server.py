"""From options to a running server: the router is loaded, its upstream found, and uvicorn listens (ours)."""

import asyncio
import logging
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from videorouter.interruption import EXIT_CODE as INTERRUPTED
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.backbones.language_weights import holds_language
from videorouter.routers.backbones.loading_options import Loading, hub_access
from videorouter.routers.checkpoints.hub import router_folder
from videorouter.routers.checkpoints.router_folder import read_config
from videorouter.routers.cost.picture_cost import PictureCost
from videorouter.routers.cost.picture_names import could_be_checkpoint, picture_cost, picture_cost_of
from videorouter.serve.access import Access
from videorouter.serve.app import application
from videorouter.serve.askable import check_defaults
from videorouter.serve.config import ServeConfig
from videorouter.serve.decoders import Decoders
from videorouter.serve.engines.engine import ServingEngine
from videorouter.serve.engines.frames import FramesEngine
from videorouter.serve.engines.own import OwnEngine
from videorouter.serve.engines.upstream import Upstream
from videorouter.serve.engines.vllm import VllmEngine
from videorouter.serve.library import VideoLibrary
from videorouter.serve.media.media import Media, MediaOptions
from videorouter.serve.metrics import Metrics
from videorouter.serve.request_log import lines_in
from videorouter.serve.service import Service
from videorouter.serve.worker import ModelWorker

HEADERS = 30.0
"""Seconds that the headers of a request may take at most, and that a connection may be open without one."""
_log = logging.getLogger(__name__)


def serve(config: ServeConfig, access: Access, listening: socket.socket, told: Callable[[], None]) -> None:
    """Answer who connects, until stopped by SIGTERM or Ctrl-C; `told` is called once requests are answered.

    Raises `ValueError` for options that cannot be served, `OSError` where the log cannot be written, `KeyboardInterrupt` after
    Ctrl-C.
    """
    with lines_in(config.log):
        if signal.SIGINT in asyncio.run(_serve(config, access, listening, told)):
            raise KeyboardInterrupt


async def _serve(
    config: ServeConfig, access: Access, listening: socket.socket, told: Callable[[], None]
) -> Sequence[int]:
    """Gives the signals that stopped it."""
    import uvicorn

    from videorouter.serve.connections import Connection, Connections, Listener, most_connections
    from videorouter.serve.stopping import GRACE, RequestsInWork, StoppableServer, ending_beside, stopped_by_signals

    most = most_connections(config.most_connections, config.most_waiting)
    connections = Connections(most, min(config.patience, HEADERS), config.patience)
    if config.upstream_pictures is not None and not could_be_checkpoint(config.upstream_pictures):
        picture_cost(config.upstream_pictures)
    upstream = None
    if config.upstream is not None:
        upstream = Upstream(config.upstream, config.upstream_model, config.upstream_patience)
        await upstream.find_model()
    router = load(config)
    folder = Path(tempfile.mkdtemp(prefix="videorouter-serve-"))
    worker = ModelWorker(router.backbone, config.rows)
    decoders = Decoders(config.decoders)
    signals: Sequence[int] = ()
    try:
        requests = RequestsInWork(application(service_of(config, router, worker, decoders, upstream, folder), access))
        options = uvicorn.Config(
            requests,
            http=Connection,
            ws="none",
            log_level="error",  # what is wrong with a request is told to who sent it
            access_log=False,
            timeout_graceful_shutdown=round(max(GRACE.values())) + 1,
            h11_max_incomplete_event_size=64 * 1024,
        )
        server = StoppableServer(options)
        server.server_state = connections
        with stopped_by_signals(server) as signals:
            accepting = Listener(listening, connections)
            serving = asyncio.ensure_future(server.serve(sockets=[accepting]))
            while not (server.started or serving.done()):
                await asyncio.sleep(0.02)
            if server.started:
                told()
            while not (server.should_exit or serving.done()):
                await asyncio.sleep(0.1)
            await requests.end(min((GRACE[signal.Signals(number)] for number in signals), default=0.0))
            await serving
            return signals
    finally:
        decoders.close()
        shutil.rmtree(folder, ignore_errors=True)
        if upstream is not None:
            await upstream.close()
        worker.close()
        if worker.alive:
            ending_beside(lambda: worker.alive, INTERRUPTED if signal.SIGINT in signals else 0)


def load(config: ServeConfig) -> VideoRouter:
    """The router with its base: of that, in front of an upstream, only what routing reads, unless `whole_base` asks for all."""
    loading: Loading = {**config.loading(), "revision": config.revision}
    if config.model is None:
        assert config.base is not None
        if config.engine != "own" and not config.whole_base:
            loading["early_layers"] = 1
        return VideoRouter.from_base(config.base, **loading)
    if config.engine != "own" and not config.whole_base:
        folder = router_folder(config.model, config.revision, **hub_access(loading))
        if not holds_language(folder):
            loading["early_layers"] = read_config(folder).shadow_layers
    return VideoRouter.from_pretrained(config.model, base=config.base, accept_base=config.accept_base, **loading)


def service_of(
    config: ServeConfig,
    router: VideoRouter,
    worker: ModelWorker,
    decoders: Decoders,
    upstream: Upstream | None,
    folder: Path,
) -> Service:
    """All that answers one request.

    Raises `ValueError` for an engine that the base's family does not fit, and for defaults with which no request is answered.
    """
    metrics = Metrics()
    pictures = _picture_cost(config, router) if config.engine == "frames" else None
    check_defaults(config, router, pictures)
    media = Media(
        MediaOptions(
            media_root=config.media_root,
            allowed_hosts=config.video_hosts,
            most_bytes=config.most_megabytes * 1_000_000,
            upload_bytes=int(config.uploads_gb * 1e9),
            fetch_timeout=config.patience,
        ),
        folder,
    )
    engine: ServingEngine
    if upstream is None:
        engine = OwnEngine(router, worker, config.most_tokens)
    elif pictures is None:
        dtype = None if config.upstream_dtype is None else getattr(torch, config.upstream_dtype)
        engine = VllmEngine(router, upstream, dtype, config.most_tokens, metrics)
    else:
        engine = FramesEngine(upstream, pictures)
    library = VideoLibrary(router, int(config.cache_gb * 1e9), metrics)
    return Service(config, router, worker, library, media, decoders, engine, metrics)


def _picture_cost(config: ServeConfig, router: VideoRouter) -> PictureCost:
    """By the name of a family or a vendor, else by a checkpoint's own files. Raises `ValueError` for neither."""
    asked = config.upstream_pictures
    if asked is not None and not could_be_checkpoint(asked):
        return picture_cost(asked)
    return picture_cost_of(asked or router.backbone.path, **hub_access(config.loading()))
