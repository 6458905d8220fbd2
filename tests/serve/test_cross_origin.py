"""Pages of allowed origins are answered as OpenAI's clients ask there; an origin that would let all pages in is refused."""

from collections.abc import Iterator

import httpx2
import pytest

from tests.serve.running_server import RunningServer, running_server
from videorouter.serve.access import Access
from videorouter.serve.config import ServeConfig

PAGE = "https://page.lab"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(
        tmp_path_factory.mktemp("origins"), "--allowed_origins", "['HTTPS://Page.lab:443/']"
    ) as started:
        yield started


def _may(server: RunningServer, origin: str, headers: str) -> httpx2.Response:
    """What a browser is told before it asks."""
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": headers, "Origin": origin}
    return httpx2.options(f"{server.address}/v1/chat/completions", headers=asked)


def test_openais_client_in_a_page_may_send_its_headers(server: RunningServer) -> None:
    sent = "authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-retry-count"
    may = _may(server, PAGE, sent)
    assert (may.status_code, may.headers["access-control-allow-origin"]) == (200, PAGE)
    assert set(sent.split(",")) <= {name.strip() for name in may.headers["access-control-allow-headers"].split(",")}
    assert _may(server, "https://other.lab", sent).status_code == 400
    read = server.get("/v1/models", headers={"Origin": PAGE, "X-Stainless-Lang": "js"})
    assert (read.status_code, read.headers["access-control-expose-headers"]) == (200, "Retry-After")


@pytest.mark.parametrize(
    "origin", ["*", "null", "lab.example", "https://lab.example/page", "https://*.lab.example", ""]
)
def test_what_is_no_origin_of_one_site_is_refused_at_the_start(origin: str) -> None:
    for keys in ([], ["key"]):
        with pytest.raises(ValueError, match=r"https://lab\.example"):
            Access(ServeConfig(base="base", allowed_origins=[origin]), keys)


@pytest.mark.parametrize("origin", ["http://127.0.0.1:3000", "http://[::1]:3000", "chrome-extension://abcdef"])
def test_origins_of_one_site_are_taken(origin: str) -> None:
    assert Access(ServeConfig(base="base", allowed_origins=[origin]), []).origins == {origin}
