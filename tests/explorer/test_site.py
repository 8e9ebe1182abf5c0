"""The static site holds together without a server."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from raysel.explorer.site import MARK, write_site
from raysel.store import open_index
from tests.typed import raysel_here


@pytest.fixture(scope="module")
def site(made, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("bucket") / "site"
    ended = raysel_here(Path.cwd(), "site", made.folder.path, "--out", str(out), "--json")
    assert ended.status == 0, ended.err
    assert json.loads(ended.out) == {"out": str(out), "files": sum(path.is_file() for path in out.rglob("*"))}
    return out


def test_every_link_leads_to_a_file(site):
    pages = list(site.rglob("*.html"))
    links = 0
    for page in pages:
        for link in re.findall(r'\s(?:src|href|action)="([^"]*)"', page.read_text()):
            path = urlsplit(html.unescape(link))
            assert not path.scheme, link
            assert not path.netloc, link
            if path.path:
                target = (page.parent / unquote(path.path)).resolve()
                assert target.is_relative_to(site), link
                assert target.is_file(), f"{page.name}: {link}"
                links += 1
    assert links > 10 * len(pages)


def test_every_import_of_a_script_leads_to_a_file(site):
    for script in (site / "assets").glob("*.js"):
        for name in re.findall(r"from '([^']+)'", script.read_text()):
            assert (script.parent / name).is_file()


def test_a_page_and_its_data_for_every_neuron(site, made):
    assert len(list((site / "neuron").iterdir())) == len(list((site / "data").iterdir())) == len(made.rows)
    alive = sum(not row["dead"] for row in made.rows)
    assert len(list((site / "feature").iterdir())) == len(list((site / "sheet").iterdir())) == alive
    shown = json.loads(raysel_here(Path.cwd(), "show", made.folder.path, "stem:2", "--json").out)
    assert json.loads((site / "data" / "stem-2.json").read_text()) == shown


def test_columns_are_there(site, made):
    table = json.loads((site / "columns" / "neurons.json").read_text())
    assert table["neurons"] == len(made.rows)
    for column in table["columns"]:
        values = json.loads((site / "columns" / f"{column['name']}.json").read_text())
        assert len(values.get("values", values.get("codes"))) == len(made.rows)


def test_every_page_has_its_policy(site):
    for page in site.rglob("*.html"):
        text = page.read_text()
        assert "default-src 'none'" in text
        assert not re.search(r"<style|\sstyle=|\son\w+=", text)


def test_a_uri_is_refused(made):
    ended = raysel_here(Path.cwd(), "site", made.folder.path, "--out", "s3://bucket/site")
    assert "local folder" in ended.fault


def test_an_interrupted_site_can_be_written_again(made, tmp_path):
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_site(open_index(made.folder.path), tmp_path / "site", "made", interrupt)
    files = write_site(open_index(made.folder.path), tmp_path / "site", "made")
    assert json.loads((tmp_path / "site" / MARK).read_text())["neurons"] == len(made.rows)
    assert sum(path.is_file() for path in (tmp_path / "site").rglob("*")) == files
