"""A folder over HTTP on loopback, with ranges, as object stores and web servers serve it."""

from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.loopback.hub import ranged


def folder_server(folder: Path) -> Starlette:
    """Serves the files of `folder`; there is no listing."""

    async def serve(request: Request) -> Response:
        path = folder / request.path_params["path"]
        if not path.is_file():
            return Response(status_code=404)
        content = path.read_bytes()
        headers = {"Accept-Ranges": "bytes", "Content-Length": str(len(content))}
        return Response(headers=headers) if request.method == "HEAD" else ranged(content, request, {})

    return Starlette(routes=[Route("/{path:path}", serve, methods=["GET", "HEAD"])])
