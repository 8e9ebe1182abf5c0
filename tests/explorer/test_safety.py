"""Nothing outside of the index can be read, and a browser stays within these pages."""

from __future__ import annotations

import io
import re
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from raysel.errors import RayselError
from raysel.explorer.app import create_app
from raysel.explorer.links import slug
from raysel.explorer.server import Server
from tests.explorer.conftest import ODD

TOKEN = "a-secret-of-this-test"
SECRET = "text of a file outside of the index"
PAGES = ("/", "/docs", "/compare?a=made", "/i/made/", "/i/made/plane", "/i/made/gallery", "/i/made/neuron/stem:2")


@pytest.fixture
def guarded(made) -> TestClient:
    return TestClient(create_app([made.folder.path], token=TOKEN), "http://localhost", follow_redirects=False)


@pytest.mark.parametrize("climb", ["../", "%2e%2e/", "..%2f", "%2e%2e%2f", "..%5c", "%252e%252e%252f", "....//", "/"])
@pytest.mark.parametrize(
    "place",
    [
        "/assets/",
        "/i/made/feature/",
        "/i/made/sheet/",
        "/i/made/columns/",
        "/i/made/neuron/",
        "/i/",
        "/i/made/source/0/",
    ],
)
def test_no_path_leads_out(made, address, place, climb):
    """Over a real connection: a client of tests would make the paths clean."""
    import http.client
    from pathlib import Path

    secret = Path(made.folder.path).parent / "secret"
    secret.write_text(SECRET)
    host, port = address.removeprefix("http://").split(":")
    for target in (f"{climb * 6}etc/passwd", f"{climb}secret", f"{climb}{climb}secret:0", f"{climb}made/manifest.json"):
        connection = http.client.HTTPConnection(host, int(port), timeout=120)
        connection.putrequest("GET", place + target, skip_host=True)
        connection.putheader("Host", "localhost")
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read().decode("utf-8", "replace")
        connection.close()
        assert answer.status in (307, 400, 404), (place + target, answer.status)
        assert SECRET not in body
        assert "root:" not in body
        assert "scan_fingerprint" not in body


def test_a_layer_may_be_named_like_a_path(address, made):
    """Over a real connection: a client of tests decodes the path twice."""

    def read(path: str) -> bytes:
        with urlopen(address + path, timeout=120) as answer:
            return answer.read()

    neuron = f"{ODD.name}:1"
    page = read(f"/i/made/neuron/{slug(neuron)}").decode()
    assert re.search(r"<h1>[^\n]*%2e", page)
    links = re.findall(r'(?:src|href)="(/i/made/(?:feature|sheet|crop|portrait)/[^"]+)"', page)
    assert len(links) > 3
    for link in links:
        assert read(link), link
    picture = np.asarray(Image.open(io.BytesIO(read(f"/i/made/feature/{slug(neuron)}"))))[..., :3]
    expected, count = made.features[ODD.name, 1], made.counts[ODD.name, 1]
    assert np.abs(picture / 255 - expected)[count > 0].max() < 0.01


def test_names_are_text_everywhere(tmp_path):
    from tests.store.synthetic import Layer, build

    name = "<script>alert(1)</script>\"'&{{7*7}}"
    made = build(tmp_path / "made", layers=(Layer(name, 3, 7, 2),))
    client = TestClient(create_app([made.folder.path]), "http://localhost")
    for path in ("/i/made/", "/i/made/gallery", "/i/made/plane", f"/i/made/neuron/{slug(f'{name}:1')}"):
        page = client.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "{{7*7}}" in page.text.replace("&#123;", "{")


@pytest.mark.parametrize(
    "path", [*PAGES, "/nothing", "/assets/explorer.js", "/api/indexes", "/i/made/gallery?q=nothing"]
)
def test_every_answer_has_the_headers(client, path):
    headers = client.get(path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "img-src", "connect-src")} == {"'self'"}
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


@pytest.mark.parametrize("path", [*PAGES, "/nothing", "/assets/explorer.js", "/i/made/feature/stem:2", "/api/indexes"])
def test_head_answers_as_get_without_a_body(client, path):
    head, get = client.head(path), client.get(path)
    assert head.status_code == get.status_code
    assert head.headers.get("content-length") == get.headers.get("content-length")
    assert not head.content


def test_what_would_change_something_is_refused(client):
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = client.request(method, "/i/made/")
        assert answer.status_code == 405
        assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize("path", ["/i/made/plane", "/api/indexes"])
def test_an_error_of_raysel_has_the_headers_and_no_details(made, monkeypatch, path):
    app = create_app([made.folder.path])
    monkeypatch.setattr(app.state.catalog, "places", None)
    answer = TestClient(app, "http://localhost", raise_server_exceptions=False).get(path)
    assert answer.status_code == 500
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "NoneType" not in answer.text


@pytest.mark.parametrize("path", PAGES)
def test_pages_need_nothing_that_the_policy_refuses(client, path):
    page = client.get(path).text
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
    assert all(re.search(r"\ssrc=", tag) for tag in re.findall(r"<script[^>]*>", page))
    assert not re.findall(r'(?:src|href|action)="(?:https?:)?//', page)


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.168.0.7", ""]
)
def test_other_hosts_are_refused(client, host):
    assert client.get("/i/made/", headers={"host": host}).status_code == 400


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "LOCALHOST"])
def test_own_hosts_are_served(client, host):
    assert client.get("/i/made/", headers={"host": host}).status_code == 200


def test_without_the_token_nothing_is_served(guarded):
    for path in (*PAGES, "/assets/explorer.css", "/openapi.json", "/i/made/feature/stem:2", "/i/made/?token=wrong"):
        answer = guarded.get(path)
        assert answer.status_code == 401
        assert "made" not in answer.text


def test_a_first_visit_with_the_token_opens_the_rest(guarded):
    first = guarded.get(f"/i/made/gallery?q=red&token={TOKEN}")
    assert first.status_code == 303
    assert first.headers["location"] == "/i/made/gallery?q=red"
    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert TOKEN not in first.headers["set-cookie"]
    assert guarded.get("/i/made/gallery?q=red").status_code == 200


def test_a_program_sends_the_token_as_a_header(guarded):
    assert guarded.get("/api/indexes", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert guarded.get("/api/indexes", headers={"authorization": "Bearer wrong"}).status_code == 401
    assert guarded.get("/api/indexes", headers={"cookie": "raysel-explorer-80=wrong; x="}).status_code == 401


def test_the_way_with_the_token_never_leads_elsewhere(guarded):
    answer = guarded.get(f"http://localhost//evil.example/%2e%2e?token={TOKEN}")
    assert answer.status_code == 303
    assert re.match(r"/[^/\\]", answer.headers["location"])


@pytest.mark.parametrize("token", ["short", "with\nnewline", "nicht für alle"])
def test_a_token_that_cannot_be_sent_is_refused(made, token):
    with pytest.raises(RayselError, match="--token"):
        Server([made.folder.path], port=0, token=token)


def test_a_port_in_use_is_one_line(made, address):
    with pytest.raises(RayselError, match="--port"):
        Server([made.folder.path], port=int(address.rsplit(":", 1)[1]))
