"""A hub on loopback: the repository, preupload, LFS, commit, tree and resolve endpoints that huggingface_hub speaks to.

Large files must come through LFS: a commit that names an object nobody uploaded is refused, and so is one that carries a large
file in line. It fails where a test tells it to, once each time.
"""

import base64
import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

INLINE = 4096
"""Bytes from which on a file must come through LFS."""


@dataclass
class Repository:
    """Files by path, the number of commits, and the id of the last one: a function of the files alone."""

    files: dict[str, bytes] = field(default_factory=dict)
    commits: int = 0

    @property
    def head(self) -> str:
        content = [(path, hashlib.sha256(data).hexdigest()) for path, data in sorted(self.files.items())]
        return hashlib.sha1(repr(content).encode()).hexdigest()


class LoopbackHub:
    """`repositories` by "datasets/user/name" or "models/user/name"; `requests` counts by kind; `fail` names what fails next:
    create, preupload, batch, upload, commit."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.requests: Counter[str] = Counter()
        self.fail: list[str] = []
        self.application = Starlette(
            routes=[
                Route("/api/repos/create", self.create, methods=["POST"]),
                Route("/api/validate-yaml", self.validate, methods=["POST"]),
                Route("/api/{kind}/{user}/{name}/preupload/{revision}", self.preupload, methods=["POST"]),
                Route("/api/{kind}/{user}/{name}/commit/{revision}", self.commit, methods=["POST"]),
                Route("/api/{kind}/{user}/{name}/tree/{revision}", self.tree, methods=["GET"]),
                Route("/api/{kind}/{user}/{name}/revision/{revision}", self.info, methods=["GET"]),
                Route("/api/{kind}/{user}/{name}", self.info, methods=["GET"]),
                Route("/{user}/{name}.git/info/lfs/objects/batch", self.batch, methods=["POST"]),
                Route("/{prefix}/{user}/{name}.git/info/lfs/objects/batch", self.batch, methods=["POST"]),
                Route("/lfs/{oid}", self.upload, methods=["PUT"]),
                Route("/{kind}/{user}/{name}/resolve/{revision}/{path:path}", self.resolve, methods=["GET", "HEAD"]),
                Route("/{user}/{name}/resolve/{revision}/{path:path}", self.resolve, methods=["GET", "HEAD"]),
            ]
        )

    async def create(self, request: Request) -> Response:
        if self._fails("create"):
            return _refused(403, "no right to create")
        wanted = await request.json()
        kind = f"{wanted.get('type') or 'model'}s"
        name = f"{kind}/{wanted.get('organization') or 'me'}/{wanted['name']}"
        if name in self.repositories:
            return JSONResponse({"error": "exists", "url": f"{request.base_url}{name}"}, 409)
        self.repositories[name] = Repository()
        return JSONResponse({"url": f"{request.base_url}{name}", "name": name})

    async def validate(self, request: Request) -> Response:
        content = (await request.json())["content"]
        errors = [] if content.startswith("---\n") else [{"message": "no front matter"}]
        return JSONResponse({"errors": errors, "warnings": []}, 400 if errors else 200)

    async def preupload(self, request: Request) -> Response:
        if self._fails("preupload"):
            return _refused(403, "preupload")
        files = (await request.json())["files"]
        return JSONResponse(
            {
                "files": [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if file["size"] >= INLINE else "regular",
                        "shouldIgnore": False,
                    }
                    for file in files
                ]
            }
        )

    async def batch(self, request: Request) -> Response:
        if self._fails("batch"):
            return _refused(403, "batch")
        objects = []
        for wanted in (await request.json())["objects"]:
            one = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in self.objects:
                one["actions"] = {"upload": {"href": f"{request.base_url}lfs/{wanted['oid']}", "header": {}}}
            objects.append(one)
        return JSONResponse({"transfer": "basic", "objects": objects}, media_type="application/vnd.git-lfs+json")

    async def upload(self, request: Request) -> Response:
        content = await request.body()
        if self._fails("upload"):
            return _refused(403, "upload")
        if hashlib.sha256(content).hexdigest() != request.path_params["oid"]:
            return _refused(422, "the content is not what its name says")
        self.objects[request.path_params["oid"]] = content
        return Response()

    async def commit(self, request: Request) -> Response:
        """All of it or nothing."""
        lines = [json.loads(line) for line in (await request.body()).splitlines()]
        if self._fails("commit"):
            return _refused(500, "the commit was lost")
        repository = self._repository(request)
        if repository is None:
            return _not_found()
        files = dict(repository.files)
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                content = base64.b64decode(value["content"])
                if len(content) >= INLINE:
                    return _refused(400, f"{value['path']} is large and must come through LFS")
                files[value["path"]] = content
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.objects:
                    return _refused(400, f"the object of {value['path']} was not uploaded")
                files[value["path"]] = self.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                files.pop(value["path"])
        repository.files = files
        repository.commits += 1
        where = f"{request.base_url}{'/'.join(request.path_params[part] for part in ('kind', 'user', 'name'))}"
        return JSONResponse(
            {"success": True, "commitOid": repository.head, "commitUrl": f"{where}/commit/{repository.head}"}
        )

    async def tree(self, request: Request) -> Response:
        repository = self._repository(request)
        if repository is None:
            return _not_found()
        return JSONResponse(
            [
                {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for path, data in sorted(repository.files.items())
            ]
        )

    async def info(self, request: Request) -> Response:
        repository = self._repository(request)
        if repository is None:
            return _not_found()
        name = f"{request.path_params['user']}/{request.path_params['name']}"
        return JSONResponse(
            {
                "id": name,
                "sha": repository.head,
                "private": False,
                "tags": [],
                "downloads": 0,
                "siblings": [
                    {"rfilename": path} | (_blob(data) if "blobs" in request.query_params else {})
                    for path, data in sorted(repository.files.items())
                ],
            }
        )

    async def resolve(self, request: Request) -> Response:
        repository = self._repository(request)
        content = repository.files.get(request.path_params["path"]) if repository else None
        if repository is None or content is None:
            return _not_found("EntryNotFound" if repository else "RepoNotFound")
        digest = hashlib.sha256(content).hexdigest()
        headers = {"ETag": f'"{digest}"', "X-Repo-Commit": repository.head, "Accept-Ranges": "bytes"}
        self.requests[f"{request.method} {request.path_params['path']}"] += 1
        if request.method == "HEAD":
            return Response(headers=headers | {"Content-Length": str(len(content))})
        return ranged(content, request, headers)

    def _repository(self, request: Request) -> Repository | None:
        parts = request.path_params
        return self.repositories.get(f"{parts.get('kind', 'models')}/{parts['user']}/{parts['name']}")

    def _fails(self, kind: str) -> bool:
        self.requests[kind] += 1
        if kind in self.fail:
            self.fail.remove(kind)
            return True
        return False


def ranged(content: bytes, request: Request, headers: dict[str, str]) -> Response:
    """The part of `content` that a Range header asks for, all of it where there is none."""
    asked = request.headers.get("range")
    if not asked:
        return Response(content, headers=headers)
    first, _, last = asked.removeprefix("bytes=").partition("-")
    start, end = int(first), min(int(last) + 1 if last else len(content), len(content))
    if start >= len(content):
        return Response(status_code=416, headers={"Content-Range": f"bytes */{len(content)}"})
    return Response(
        content[start:end], 206, headers=headers | {"Content-Range": f"bytes {start}-{end - 1}/{len(content)}"}
    )


def _blob(data: bytes) -> dict[str, object]:
    """What is told of a file where it is asked for; of large ones their sha256."""
    told: dict[str, object] = {"size": len(data), "blobId": hashlib.sha1(data).hexdigest()}
    if len(data) >= INLINE:
        told["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    return told


def _refused(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status)


def _not_found(code: str = "RepoNotFound") -> Response:
    return JSONResponse({"error": "not found"}, 404, headers={"X-Error-Code": code})
