"""Who may ask a running server: Host, Origin, API keys, one key's videos hidden from another's, and what the log never holds."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.serve.questions import about, data_url, first_questions, videos_of
from tests.serve.running_server import RunningServer, running_server, serve_command, server_environment, warm_python
from videorouter.serve.access import Access
from videorouter.serve.config import ServeConfig
from videorouter.serve.errors import Forbidden, NoSuchKey

MINE, THEIRS = "mine-4a8d1c", "theirs-93be07"
OPTIONS = ["--frames", "8", "--verbose"]


@pytest.fixture(scope="module")
def local(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server for this machine alone, without keys."""
    options = ["--media_root", str(world), "--allowed_hosts", "[router.lab]", "--allowed_origins", "[https://page.lab]"]
    with running_server(tmp_path_factory.mktemp("local"), *options, *OPTIONS) as server:
        yield server


@pytest.fixture(scope="module")
def keyed(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server for others, with two keys."""
    folder = tmp_path_factory.mktemp("keyed")
    options = ["--host", "0.0.0.0", "--media_root", str(world), "--log", str(folder / "log.jsonl"), *OPTIONS]
    with running_server(folder, *options, keys=[MINE, THEIRS]) as server:
        yield server


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:80", 200),
        ("localhost:9999", 200),
        ("LOCALHOST", 200),
        ("[::1]", 200),
        ("[::1]:8800", 200),
        ("127.8.8.8", 200),
        ("router.lab", 200),
        ("Router.Lab:8800", 200),
        ("router.lab.evil.example", 403),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example:80", 403),
        ("127.0.0.1@evil.example", 403),
        ("2130706433.example", 403),
        ("[::1", 403),
        ("[::1].evil.example", 403),
        ("[2001:db8::1]", 403),
        ("10.0.0.1", 403),
        ("", 403),
    ],
)
def test_a_host_is_this_machine_or_is_allowed_by_name(local: RunningServer, host: str, status: int) -> None:
    """The name of a page that leads to this machine (DNS rebinding) is neither."""
    assert _status(local, f"GET /v1/models HTTP/1.1\r\nHost: {host}\r\n") == status


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET http://evil.example/v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n", 404),
        ("GET http://127.0.0.1/v1/models HTTP/1.1\r\nHost: evil.example\r\n", 403),
        ("GET //evil.example/v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n", 404),
        ("GET /v1/models HTTP/1.0\r\n", 403),
        ("GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n", 400),
        ("GET /v1/models HTTP/1.1\r\n", 400),
        ("OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n", 404),
        ("CONNECT evil.example:443 HTTP/1.1\r\nHost: 127.0.0.1\r\n", 404),
    ],
)
def test_other_ways_to_name_a_host_lead_nowhere(local: RunningServer, line: str, status: int) -> None:
    assert _status(local, line) == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("{own}", 200),
        ("https://page.lab", 200),
        ("https://page.lab.evil.example", 403),
        ("http://page.lab", 403),
        ("null", 403),
        ("", 403),
        ("http://evil.example", 403),
        ("http://127.0.0.1:1", 403),
        ("http://127.0.0.1", 403),
        ("http://[::1", 403),
        ("file://", 403),
        ("http://user@{host}", 403),
    ],
)
def test_a_page_is_the_servers_own_or_is_allowed(local: RunningServer, origin: str, status: int) -> None:
    told = origin.format(own=local.address, host=local.address.removeprefix("http://"))
    response = local.get("/v1/models", headers={"Origin": told})
    assert response.status_code == status, response.text
    if status == 403:
        assert response.json()["error"]["type"] == "permission_error"
    assert local.chat({"messages": []}, headers={"Origin": told}).status_code == (400 if status == 200 else 403)


def test_a_browser_lets_an_allowed_page_ask_and_read(local: RunningServer) -> None:
    """It asks first whether it may (CORS), without a key; no other page is answered."""
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    path = f"{local.address}/v1/chat/completions"
    may = httpx2.options(path, headers={"Origin": "https://page.lab"} | asks)
    assert (may.status_code, may.headers["access-control-allow-origin"]) == (200, "https://page.lab")
    read = local.chat({}, headers={"Origin": "https://page.lab"})
    assert (read.status_code, read.headers["access-control-allow-origin"]) == (400, "https://page.lab")
    refused = httpx2.options(path, headers={"Origin": "http://evil.example"} | asks)
    assert (refused.status_code, refused.headers.get("access-control-allow-origin")) == (400, None)
    assert "access-control-allow-origin" not in local.chat({}, headers={"Origin": local.address}).headers


def test_a_simple_form_of_another_page_is_refused(local: RunningServer) -> None:
    """It needs no leave of the browser's, as a JSON body would."""
    response = local.chat(None, content="{}", headers={"Origin": "http://evil.example", "Content-Type": "text/plain"})
    assert response.status_code == 403


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (f"Bearer {MINE}", 200),
        (f"bearer {THEIRS}", 200),
        (None, 401),
        ("", 401),
        ("Bearer", 401),
        (f"Bearer {MINE}x", 401),
        (f"Bearer {MINE[:-1]}", 401),
        (f"Bearer {MINE},{THEIRS}", 401),
        (f"Basic {MINE}", 401),
        (MINE, 401),
        ("Bearer \xff\xfe", 401),
    ],
)
def test_a_key_is_needed_where_there_are_keys(keyed: RunningServer, given: str | None, status: int) -> None:
    headers = {} if given is None else {"Authorization": given.encode("latin-1")}
    for path in ("/v1/models", "/metrics", "/videos", "/v1/files"):
        response = keyed.get(path, headers=headers)
        assert response.status_code == status, (path, response.text)
    assert keyed.chat({}, headers=headers).status_code == (400 if status == 200 else 401)
    if status == 401:
        assert response.json()["error"]["type"] == "authentication_error"
        assert MINE not in response.text


def test_health_and_page_need_no_key(keyed: RunningServer) -> None:
    assert keyed.get("/health", headers={}).json()["status"] == "ok"
    assert keyed.get("/", headers={}).status_code != 401
    for path in ("/docs", "/openapi.json", "/redoc"):
        assert keyed.get(path, headers={}).status_code == 401


def test_keys_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, whichever is right."""
    compared: list[bytes] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return one == other

    monkeypatch.setattr("hmac.compare_digest", compare)
    access = Access(ServeConfig(base="base"), [MINE, THEIRS, "third"])
    for key in (MINE, THEIRS):
        compared.clear()
        access.owner("/v1/models", {"host": "localhost", "authorization": f"Bearer {key}"})
        assert compared == [MINE.encode(), THEIRS.encode(), b"third"]
    with pytest.raises(NoSuchKey):
        access.owner("/v1/models", {"host": "localhost", "authorization": "Bearer other"})


@pytest.mark.parametrize("options", [["--host", "0.0.0.0"], ["--host", "::"], ["--allowed_hosts", "['*']"]])
def test_a_server_for_others_refuses_to_start_without_keys(tmp_path: Path, options: list[str]) -> None:
    assert "VIDEOROUTER_API_KEYS" in _refusal(tmp_path, *options)


def test_an_allowed_host_that_is_none_is_refused_at_the_start(tmp_path: Path) -> None:
    assert "'lab.example:80'" in _refusal(tmp_path, "--allowed_hosts", "['lab.example:80']")


def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "in use" in _refusal(tmp_path, "--port", str(taken.getsockname()[1]))


def test_any_host_may_be_allowed_where_there_are_keys() -> None:
    access = Access(ServeConfig(base="base", host="0.0.0.0", allowed_hosts=["*"]), [MINE])
    asked = {"host": "10.1.2.3:8800", "authorization": f"Bearer {MINE}"}
    assert access.owner("/v1/models", asked) == access.owner("/v1/models", asked | {"host": "pod.cluster"})
    with pytest.raises(Forbidden):
        access.owner("/v1/models", asked | {"origin": "http://evil.example"})


@pytest.mark.slow
def test_ipv6(world: Path, tmp_path: Path) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with running_server(tmp_path, "--host", "::1", *OPTIONS) as server:
        assert server.address.startswith("http://[::1]:")
        assert server.get("/health").json()["status"] == "ok"
        assert server.get("/health", headers={"Origin": server.address}).status_code == 200


def test_another_keys_uploads_frames_and_cache_are_as_if_they_were_not(keyed: RunningServer, world: Path) -> None:
    content = videos_of(world)[0].read_bytes()
    theirs = {"Authorization": f"Bearer {THEIRS}"}
    sent = keyed_upload(keyed, content)
    mine = keyed.chat(about(sent, "What is shown?")).json()["videorouter"]["video"]
    assert mine["cached"] is False
    assert keyed.chat(about(sent, "And then?")).json()["videorouter"]["video"]["cached"] is True
    frame = f"/frames/{mine['sha256']}/{mine['sampled']}/0"
    assert keyed.get(frame).headers["content-type"] == "image/jpeg"
    assert keyed.get(frame, headers=theirs).status_code == 404
    assert keyed.get("/v1/files", headers=theirs).json()["data"] == []
    stolen = keyed.chat(about(sent, "What is shown?"), headers=theirs)
    assert stolen.status_code == 404
    assert stolen.json() == json.loads(
        keyed.chat(about("file-" + "0" * 32, "What is shown?"), headers=theirs).text.replace("0" * 32, sent[5:])
    )
    assert _delete(keyed, sent, theirs) == 404
    same = keyed.chat(about(data_url(content), "What is shown?"), headers=theirs).json()["videorouter"]["video"]
    assert (same["sha256"], same["cached"]) == (mine["sha256"], False)
    assert keyed.get(frame, headers=theirs).status_code == 200
    assert _delete(keyed, sent, keyed.headers) == 200
    assert _delete(keyed, sent, keyed.headers) == 404


def test_logs_hold_neither_keys_nor_contents(keyed: RunningServer, world: Path) -> None:
    secret = "zebra-crossing-7f"
    body = first_questions(world, 1)[0]
    video = body["messages"][0]["content"][0]["video_url"]["url"]
    body["messages"][0]["content"][1]["text"] += secret
    answers = [keyed.chat(body), keyed.chat(body | {"stream": True})]
    said = answers[0].json()["choices"][0]["message"]["content"]
    assert said
    for wrong in (
        body | {"temperature": secret},
        about(f"http://{secret}.example/a.mp4", secret),
        about(f"file:///{secret}", secret),
        about(f"data:video/mp4;base64,{secret}", secret),
        body | {"model": secret},
        body | {"videorouter": {"system": secret}},
    ):
        assert keyed.chat(wrong).status_code in (400, 403, 404)
    keyed.get(f"/videos/{secret}.mp4")
    keyed.get(f"/v1/models/{secret}")
    keyed.get("/v1/models", headers={"Authorization": f"Bearer {secret}"})
    lines = (keyed.folder / "log.jsonl").read_text(encoding="utf-8")
    for log in (lines, keyed.said):
        assert "chat" in log
        for hidden in (secret, MINE, THEIRS, video, Path(video).name, "Answer with the option"):
            assert hidden not in log, hidden
        assert f'"{said}"' not in log
    told = [json.loads(line) for line in lines.splitlines()]
    asked = [one for one in told if one["way"] == "chat" and one["status"] == 200][-2:]
    for one in asked:
        assert {"time", "owner", "seconds", "engine", "system", "policy", "budget", "tokens", "stages"} <= set(one)
        assert one["tokens"] <= one["budget"]
    assert {one["status"] for one in told} >= {200, 400, 401, 403, 404}
    assert {one["owner"] for one in asked}.isdisjoint({MINE, None, "local"})


def test_the_page_may_load_nothing_from_elsewhere(local: RunningServer) -> None:
    page = local.get("/")
    if page.status_code != 200:
        pytest.skip("this server has no page")
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert not any("unsafe" in allowed or "http" in allowed or "*" in allowed for allowed in policy.values())


def keyed_upload(server: RunningServer, content: bytes) -> str:
    """The id of an upload by the server's own key."""
    files = {"file": ("secret-name.mp4", content)}
    return str(httpx2.post(f"{server.address}/v1/files", files=files, headers=server.headers).json()["id"])


def _delete(server: RunningServer, identity: str, headers: dict[str, str]) -> int:
    return httpx2.delete(f"{server.address}/v1/files/{identity}", headers=headers).status_code


def _status(server: RunningServer, head: str) -> int:
    """Of a request written by hand."""
    port = int(server.address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(f"{head}Connection: close\r\n\r\n".encode())
        answered = b""
        while received := connection.recv(65_536):
            answered += received
    head_of_it, _, told = answered.partition(b"\r\n\r\n")
    status = int(head_of_it.split(b" ", 2)[1])
    if status not in (200, 400):  # 400 is uvicorn's own
        error: Any = json.loads(told)["error"]
        assert error["message"], told
    return status


def _refusal(folder: Path, *options: str) -> str:
    """The one line with which a server refuses to start."""
    with (folder / "stderr.txt").open("wb") as stderr:
        command, environment = serve_command(*options), server_environment(folder)
        code = warm_python().start(command[1:], folder, environment, stderr).wait(90)
    said = (folder / "stderr.txt").read_text(encoding="utf-8")
    lines = [line for line in said.splitlines() if line.strip() and "ResourceWarning" not in line]
    assert code == 1, said
    told = [line for line in lines if line.startswith("error: ")]
    assert len(told) == 1, lines
    assert "Traceback" not in said
    return told[0]
