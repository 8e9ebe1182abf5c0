"""What the pages show is what the index says."""

from __future__ import annotations

import html
import io
import re
import threading
import uuid

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from raysel.explorer.app import create_app
from raysel.explorer.catalog import Catalog
from raysel.explorer.site import write_site
from raysel.store import open_index
from tests.object_store import BUCKET
from tests.store.synthetic import Layer, build


def text_of(page: str) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


def addresses(page: str) -> list[str]:
    return re.findall(r'class="pick" type="button" data-neuron="([^"]+)"', page)


def test_one_index_is_shown_at_once(made):
    client = TestClient(create_app([made.folder.path]), "http://localhost", follow_redirects=False)
    assert client.get("/").headers["location"] == "/i/made/"
    assert "Compare" not in client.get("/i/made/").text


def test_several_indexes_are_side_by_side(client):
    page = client.get("/").text
    assert 'href="/i/made/"' in page
    assert "<kbd>/</kbd>" not in page  # there is nothing to search yet
    assert 'href="/i/other/"' in page


def test_names_of_indexes_that_are_alike(made, other):
    app = create_app([made.folder.path, f"b={made.folder.path}", made.folder.path])
    names = [each["name"] for each in TestClient(app, "http://localhost").get("/api/indexes").json()]
    assert names == ["made", "b", "made-2"]


def test_below_a_path_of_another_server(other):
    client = TestClient(create_app([other.folder.path]), "http://localhost", root_path="/explore")
    page = client.get("/explore/i/other/gallery").text
    links = set(re.findall(r'(?:src|href|action|hx-get)="([^"#]+)"', page))
    assert links
    for link in links:
        assert link.startswith("/explore/")
        assert client.get(html.unescape(link)).status_code == 200, link
    assert client.get("/explore/api/nothing").json()["detail"]


def test_the_network_counts_its_layers(client, made):
    page = client.get("/i/made/").text
    layers = page.split('<li class="layer"')[1:]
    assert len(layers) == 4
    for layer, name in zip(layers, ("stem", "features.3.squeeze", "features.10"), strict=False):
        rows = [row for row in made.rows if row["layer"] == name]
        said = text_of(layer)
        assert f"{len(rows)} neurons, {sum(row['dead'] for row in rows)} dead" in said
        selective = sum((row["color_selectivity"] or 0) > 0.4 for row in rows)
        assert f"{selective} color-selective" in said


def test_the_gallery_scrolls_through_everything_once(client, made):
    seen, link = [], "/i/made/gallery"
    while link:
        page = client.get(link, headers={"HX-Request": "true"} if "offset" in link else {}).text
        assert ("<html" in page) == ("offset" not in link)
        seen += addresses(page)
        more = re.search(r'<li class="more"><a href="([^"]+)"', page)
        link = html.unescape(more[1]) if more else None
    assert sorted(seen) == sorted(f"{row['layer']}:{row['channel']}" for row in made.rows)
    values = {f"{row['layer']}:{row['channel']}": row["color_selectivity"] for row in made.rows}
    known = [values[each] for each in seen if values[each] is not None]
    assert known == sorted(known, reverse=True)


def test_the_address_of_the_gallery_holds_its_state(client):
    state = {"q": "red", "layer": "stem", "where": "n > 2", "sort": "class_selectivity", "direction": "ascending"}
    page = client.get("/i/made/gallery", params=state).text
    for name in ("q", "layer", "where"):
        assert re.search(rf'name="{name}"[^>]*value="{html.escape(state[name])}"', page)
    assert re.search(r'value="class_selectivity" selected', page)
    assert re.search(r'value="ascending" selected', page)


def test_a_question_that_cannot_be_answered_stays_on_the_page(client):
    answer = client.get("/i/made/gallery", params={"q": "zebr"})
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert "zebra" in text_of(answer.text)
    assert 'value="zebr"' in answer.text


@pytest.mark.parametrize("neuron", [("stem", 2), ("features.10", 8)])
def test_a_neuron(client, made, neuron):
    layer, channel = neuron
    row = next(row for row in made.rows if (row["layer"], row["channel"]) == neuron)
    page = client.get(f"/i/made/neuron/{layer}:{channel}").text
    said = text_of(page)
    assert f"Color selectivity {row['color_selectivity']:.2f}" in said
    assert f"mean of {row['n']} crops" in said
    assert page.count('<svg class="crop') == row["n"]
    best = made.rankings[neuron][0]
    assert f" 0 {best['activation']:.2f}" in said
    assert f'rel="prev" href="/i/made/neuron/{layer}:{channel - 1}"' in page
    assert f'rel="next" href="/i/made/neuron/{layer}:{channel + 1}"' in page


def test_crops_are_cut_from_the_sheet_where_they_are(client, made):
    page = client.get("/i/made/neuron/features.10:8").text
    sheet = np.asarray(Image.open(io.BytesIO(client.get("/i/made/sheet/features.10:8").content)).convert("RGB"))
    width, height = re.search(r'<image [^>]*width="(\d+)" height="(\d+)"', page).groups()
    assert (int(height), int(width)) == sheet.shape[:2]
    boxes = re.findall(r'<svg class="crop[^"]*" viewBox="(\d+) (\d+) (\d+) (\d+)"', page)
    for box, crop in zip(boxes, made.crops["features.10", 8], strict=True):
        x, y, w, h = map(int, box)
        assert np.abs(sheet[y : y + h, x : x + w] / 255 - crop).mean() < 0.05


def test_the_first_and_the_last_neuron_have_one_neighbor(client):
    first, last = client.get("/i/other/neuron/stem:0").text, client.get("/i/other/neuron/features.10:39").text
    assert ('rel="prev"' in first, 'rel="next"' in first) == (False, True)
    assert ('rel="prev"' in last, 'rel="next"' in last) == (True, False)


def test_a_dead_neuron_says_so(client):
    page = client.get("/i/made/neuron/stem:5")
    assert page.status_code == 200
    assert "dead" in text_of(page.text)
    assert client.get("/i/made/feature/stem:5").status_code == 404
    assert client.get("/i/made/portrait/stem:5").status_code == 404


def test_an_image_that_cannot_be_reached_is_no_failure(client):
    page = client.get("/i/made/crop/0/stem:2")
    assert page.status_code == 200
    assert "cannot be shown" in text_of(page.text)
    assert client.get("/i/made/crop/24/stem:2").status_code == 404
    assert client.get("/i/made/source/0/stem:2").status_code == 503


def test_the_list_keeps_the_order_of_its_link(client):
    page = client.get("/i/made/list", params={"neurons": "features.10:8,stem:2,features.10:8"}).text
    assert addresses(page) == ["features.10:8", "stem:2"]
    assert client.get("/i/made/list").status_code == 200
    assert client.get("/i/made/list", params={"neurons": "stem:999"}).status_code == 404
    for wrong in ("stem", "stem:2,stem:07", "stem:" + "9" * 5_000):
        assert client.get("/i/made/list", params={"neurons": wrong}).status_code == 400


def test_a_random_neuron_is_alive(client, made):
    dead = {f"{row['layer']}:{row['channel']}" for row in made.rows if row["dead"]}
    for _ in range(20):
        answer = client.get("/i/made/random")
        assert answer.status_code == 307
        assert answer.headers["location"].rsplit("/", 1)[1] not in dead


def test_the_comparison_counts_what_became_selective(client, made, other):
    page = text_of(client.get("/compare", params={"a": "made", "b": "other", "color": 0.5}).text)
    values = [{(row["layer"], row["channel"]): row["color_selectivity"] for row in each.rows} for each in (made, other)]
    pairs = [(values[0][key], values[1][key]) for key in values[1]]
    became = sum(a is not None and b is not None and a <= 0.5 < b for a, b in pairs)
    ceased = sum(a is not None and b is not None and b <= 0.5 < a for a, b in pairs)
    assert f"{len(values[1])} neurons are in both" in page
    assert f"Became color-selective: {became}" in page
    assert f"No longer color-selective: {ceased}" in page


def test_an_index_is_compared_with_one_of_the_same_layers(tmp_path, made, other):
    strange = build(tmp_path / "strange", layers=(Layer("elsewhere", 3, 7, 2),))
    app = create_app([made.folder.path, strange.folder.path, other.folder.path])
    client = TestClient(app, "http://localhost")
    assert "neurons are in both" in text_of(client.get("/compare?a=made").text)
    refused = client.get("/compare?a=made&b=strange")
    assert refused.status_code == 400
    assert "no neuron is in both" in text_of(refused.text)
    chosen = refused.text.partition('<select id="b"')[2].partition("</select>")[0]
    assert re.findall(r"<option( selected)?>(\w+)", chosen) == [("", "made"), (" selected", "strange"), ("", "other")]
    assert client.get("/compare?a=strange").status_code == 400


def test_similar_by_something_unknown_is_refused(client):
    assert client.get("/i/made/similar/stem:2?by=images").status_code == 200
    assert client.get("/i/made/similar/stem:2?by=looks").status_code == 400


def test_an_index_that_is_replaced_is_opened_again(tmp_path, monkeypatch):
    place = tmp_path / "made"
    build(place, seed=1)
    app = create_app([str(place)])
    client = TestClient(app, "http://localhost")
    before = client.get("/api/i/made/neurons", params={"limit": 5}).json()
    monkeypatch.setattr("tests.store.synthetic.FINGERPRINT", "e" * 16)
    build(place, seed=2)
    monkeypatch.setattr("raysel.explorer.catalog._LOOK_AGAIN_S", 0.0)
    after = client.get("/api/i/made/neurons", params={"limit": 5}).json()
    assert before != after


def test_a_store_that_does_not_answer_holds_up_nobody(tmp_path, monkeypatch):
    build(tmp_path / "slow", seed=1)
    build(tmp_path / "fast", seed=2)
    catalog = Catalog({name: str(tmp_path / name) for name in ("slow", "fast")})
    opened = catalog.get("slow")
    waits, goes_on = threading.Event(), threading.Event()

    def no_answer(folder):
        waits.set()
        assert goes_on.wait(60)
        return opened.index.manifest

    monkeypatch.setattr("raysel.explorer.catalog._LOOK_AGAIN_S", 0.0)
    monkeypatch.setattr("raysel.explorer.catalog.read_manifest", no_answer)
    looking = threading.Thread(target=catalog.get, args=("slow",))
    looking.start()
    assert waits.wait(60)
    monkeypatch.setattr("raysel.explorer.catalog._LOOK_AGAIN_S", 60.0)
    assert catalog.get("slow") is opened
    assert catalog.get("fast").name == "fast"
    goes_on.set()
    looking.join()


def test_an_index_in_an_object_store(s3):
    place = f"s3://{BUCKET}/{uuid.uuid4().hex}/made"
    made = build(place, seed=5)
    client = TestClient(create_app([place]), "http://localhost")
    assert "stem" in client.get("/i/made/").text
    neuron = "features.10:8"
    assert client.get(f"/i/made/neuron/{neuron}").text.count('<svg class="crop') == len(made.crops["features.10", 8])
    assert client.get(f"/i/made/feature/{neuron}").headers["content-type"] == "image/webp"


def test_columns_are_those_of_the_table(client, made):
    shares = client.get("/i/made/columns/color_names.red").json()["values"]
    expected = [row["color_names"] and row["color_names"]["red"] for row in made.rows]
    assert [share is None for share in shares] == [share is None for share in expected]
    assert [s for s in shares if s is not None] == pytest.approx([s for s in expected if s is not None], rel=1e-5)
    texts = client.get("/i/made/columns/label").json()
    labels = [None if code is None else texts["texts"][code] for code in texts["codes"]]
    assert labels == [row["label"] for row in made.rows]
    dead = client.get("/i/made/columns/dead").json()["values"]
    assert dead == [int(row["dead"]) for row in made.rows]
    assert client.get("/i/made/columns/nothing").status_code == 400
    assert client.get("/i/made/columns/classes").status_code == 400


@pytest.mark.parametrize(
    "layer", [Layer("dead", 3, 7, 2, dead=True), Layer("single", 1, 1, 1), Layer("whole", 2, 300, 0)]
)
def test_unusual_indexes(tmp_path, layer):
    made = build(tmp_path / "made", layers=(layer,))
    client = TestClient(create_app([made.folder.path]), "http://localhost")
    for page in ("", "plane", "gallery", "gallery?q=red", "list", f"neuron/{layer.name}:0", "columns/neurons"):
        assert client.get(f"/i/made/{page}").status_code == 200, page
    assert client.get("/i/made/random", follow_redirects=False).status_code == (503 if layer.dead else 307)
    files = write_site(open_index(made.folder.path), tmp_path / "site")
    assert files == sum(path.is_file() for path in (tmp_path / "site").rglob("*"))
