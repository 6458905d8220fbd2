"""The HTTP side: chat completions, models, files, health, metrics, and the page with what it shows."""

import asyncio
import logging
import time
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from videorouter.serve.access import Access, AccessMiddleware
from videorouter.serve.admission import Admission
from videorouter.serve.chat.request import parse_chat
from videorouter.serve.errors import Busy, NotThere, RequestError, Stopping
from videorouter.serve.page.assets import ASSETS, FOLDER
from videorouter.serve.page.examples import with_examples
from videorouter.serve.receiving import ClientGone, received_json, unless_gone, uploaded
from videorouter.serve.request_log import RequestLog, field_facts, routing_facts
from videorouter.serve.service import Service
from videorouter.serve.streaming import StreamedAnswer, whole_answer

METHODS: Final = ("GET", "POST", "DELETE")
READABLE: Final = ("Retry-After",)
"""Headers that allowed pages of other addresses may read; they may send any, as OpenAI's clients do (`X-Stainless-*`)."""
_POLICY: Final = "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; frame-ancestors 'none'"
_log = logging.getLogger(__name__)


def application(service: Service, access: Access) -> FastAPI:
    """The ASGI application."""
    app = FastAPI(title="VideoRouter", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(AccessMiddleware, access=access)
    if access.origins:  # outside, because a browser's question whether it may ask carries no key
        app.add_middleware(
            CORSMiddleware,
            allow_origins=[*access.origins],
            allow_methods=METHODS,
            allow_headers=["*"],
            expose_headers=READABLE,
        )
    app.add_middleware(RequestLog, metrics=service.metrics)
    _tell_errors(app)
    _answer_chats(app, service)
    _keep_files(app, service)
    _tell_state(app, service)
    _show_page(app)
    for route in app.routes:
        if isinstance(route, Route) and "GET" in (route.methods or ()):
            route.methods = {*(route.methods or ()), "HEAD"}  # as HTTP asks of whatever can be got
    return app


def _answer_chats(app: FastAPI, service: Service) -> None:
    config, metrics = service.config, service.metrics
    admission = Admission(config.most_waiting)

    @app.post("/v1/chat/completions")
    async def completions(request: Request) -> Response:
        if (wait := admission.full()) is not None:
            raise Busy(f"{admission.most} requests are in work or waiting: come again in {wait} s", wait)
        place = admission.enter()
        metrics.in_work.set(admission.within)

        def left(status: int, seconds: dict[str, float]) -> None:
            admission.leave(place)
            metrics.in_work.set(admission.within)
            request.state.facts["status"] = status
            if seconds:
                request.state.facts["stages"] = {stage: round(spent, 4) for stage, spent in seconds.items()}
            for stage, spent in seconds.items():
                metrics.stages.labels(stage).observe(spent)

        status, seconds, streaming = 499, dict[str, float](), False
        try:
            body = await received_json(request, config.most_megabytes * 1_000_000, config.patience)
            chat = await asyncio.to_thread(parse_chat, body)
            del body
            request.state.facts |= field_facts(chat.dropped)
            answered = await unless_gone(request, service.answer(chat, request.state.owner))
            request.state.facts |= routing_facts(answered.routing)
            if answered.pieces is not None:
                streaming = True
                return StreamedAnswer(config.served_name, chat, answered, left)
            status = 200
            made = whole_answer(config.served_name, answered)
            seconds = answered.seconds
            return JSONResponse(made)
        except RequestError as error:
            status = error.status
            raise
        except (ClientDisconnect, ClientGone):
            return Response(status_code=499)
        except asyncio.CancelledError:  # nobody but a server that stops cancels a request
            status = Stopping.status
            raise
        except Exception:
            status = 500
            raise
        finally:
            if not streaming:
                left(status, seconds)


def _keep_files(app: FastAPI, service: Service) -> None:
    media, config = service.media, service.config

    @app.post("/v1/files")
    async def upload(request: Request) -> Response:
        try:
            stored = await uploaded(request, media, config.most_megabytes * 1_000_000, config.patience)
        except ClientDisconnect:
            return Response(status_code=499)
        return JSONResponse(stored.body())

    @app.get("/v1/files")
    async def files(request: Request) -> dict[str, Any]:
        """All of them on one page: clients that turn pages go on until they are told that there are no more."""
        kept = [one.body() for one in media.uploads(request.state.owner)]
        ends = {"first_id": kept[0]["id"], "last_id": kept[-1]["id"]} if kept else {"first_id": None, "last_id": None}
        return {"object": "list", "data": kept, **ends, "has_more": False}

    @app.get("/v1/files/{name}")
    async def file(request: Request, name: str) -> dict[str, Any]:
        return media.kept(name, request.state.owner).body()

    @app.delete("/v1/files/{name}")
    async def delete(request: Request, name: str) -> dict[str, Any]:
        media.delete(name, request.state.owner)
        return {"id": name, "object": "file", "deleted": True}

    @app.get("/videos")
    async def videos() -> dict[str, Any]:
        """The videos of the media root, for the page, with questions that lie beside them."""
        listed = await asyncio.to_thread(media.listed)
        return {"data": await asyncio.to_thread(with_examples, listed, config.media_root)}

    @app.get("/videos/{name:path}")
    async def video(name: str) -> Response:
        """One of them; browsers ask for parts of it."""
        return FileResponse(await asyncio.to_thread(media.listed_file, name))

    @app.get("/frames/{sha256}/{frames}/{place}")
    async def frame(request: Request, sha256: str, frames: int, place: int) -> Response:
        """A sampled frame of a video that was asked about, as it is kept, for the page."""
        found = await asyncio.to_thread(service.frame, request.state.owner, sha256, frames, place)
        return Response(found, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})


def _tell_state(app: FastAPI, service: Service) -> None:
    started = int(time.time())

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [service.model(started)]}

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> dict[str, Any]:
        if name != service.config.served_name:
            raise NotThere(f"there is no model {name!r}, but {service.config.served_name!r}", code="model_not_found")
        return service.model(started)

    @app.get("/health")
    async def health() -> Response:
        told = await service.health()
        return JSONResponse(told, 200 if told["status"] == "ok" else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _show_page(app: FastAPI) -> None:
    kept = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
    kept |= {"Cache-Control": "no-cache"}  # asked for again, sent again only where it changed

    @app.get("/")
    async def page() -> Response:
        return FileResponse(FOLDER / "page.html", media_type="text/html", headers=kept)

    @app.get("/{name}")
    async def asset(name: str) -> Response:
        if name not in ASSETS:
            raise NotThere(f"there is no page {name[:80]!r}: the server's own is at /")
        return FileResponse(FOLDER / name, media_type=ASSETS[name], headers=kept)


def _tell_errors(app: FastAPI) -> None:
    @app.exception_handler(RequestError)
    async def refused(_: Request, error: RequestError) -> JSONResponse:
        return JSONResponse(error.body(), error.status, error.headers)

    @app.exception_handler(HTTPException)
    async def not_served(request: Request, error: HTTPException) -> JSONResponse:
        told = RequestError(f"{request.method} {request.url.path[:80]}: {error.detail}")
        return JSONResponse(told.body(), error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def not_valid(_: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse(RequestError(f"the address is not valid: {error.errors()[0]['msg']}").body(), 400)

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> JSONResponse:
        _log.error("a request failed", exc_info=error)
        return JSONResponse(internal_error(error), 500)


def internal_error(error: Exception) -> dict[str, Any]:
    """What a client is told of a fault of the server's own: its kind, and nothing of what is inside."""
    kind = type(error).__name__
    return {
        "error": {
            "message": f"the server failed ({kind}); its log says more",
            "type": "server_error",
            "param": None,
            "code": None,
        }
    }
