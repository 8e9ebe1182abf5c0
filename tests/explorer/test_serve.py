"""``raysel serve`` as a person types it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import parse_qs
from urllib.request import urlopen

import pytest
from starlette.testclient import TestClient

from raysel.explorer.app import create_app
from raysel.explorer.server import Server
from tests.typed import environment, raysel_here


@pytest.fixture
def serve(made, tmp_path):
    """Start the command, and give the process and its first line."""
    started = []

    def run(*options: str) -> tuple[subprocess.Popen, str]:
        command = [sys.executable, "-m", "raysel", "serve", made.folder.path, "--port", "0", *options]
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process, process.stdout.readline()

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_it_serves_until_it_is_interrupted(serve):
    process, line = serve("--json")
    url = json.loads(line)["url"]
    assert url.startswith("http://127.0.0.1:")
    with urlopen(url, timeout=120) as answer:
        assert "stem" in answer.read().decode()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (0, "", "")


def test_the_line_has_the_link_with_the_token(serve):
    _, line = serve("--token", "long-enough")
    url = line.split()[0]
    assert url.endswith("?token=long-enough")
    with pytest.raises(HTTPError) as refused:
        urlopen(url.partition("?")[0], timeout=120)
    assert refused.value.code == 401


def test_the_link_leads_in_whatever_the_token_is(made):
    token = "a+b &c=d#e%2F"
    server = Server([made.folder.path], port=0, token=token)
    query = server.url.partition("?")[2]
    assert parse_qs(query, strict_parsing=True) == {"token": [token]}
    client = TestClient(create_app([made.folder.path], token=token), "http://localhost", follow_redirects=False)
    assert client.get(f"/?{query}").status_code == 303


def test_a_warning_if_everyone_can_read(serve):
    process, _ = serve("--host", "0.0.0.0")
    assert "--token" in process.stderr.readline()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "no index is given"),
        (["nowhere"], "no index in"),
        (["a=made", "a=made"], "two indexes are named a"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, arguments, line):
    assert line in raysel_here(Path(tmp_path), "serve", *arguments).fault
