"""The API gives what the command line gives, and says what is wrong with a question."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.store.synthetic import CLASS_NAMES
from tests.typed import raysel_here


def typed(*arguments: str) -> object:
    ended = raysel_here(Path.cwd(), *arguments)
    assert ended.status == 0, ended.err
    return json.loads(ended.out)


def found(client, **question) -> dict:
    answer = client.get("/api/i/made/neurons", params=question)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("question", "options"),
    [
        ({}, []),
        ({"q": "red"}, ["red"]),
        ({"q": "red zebra"}, ["red", "zebra"]),
        ({"layer": "features.*"}, ["--layer", "features.*"]),
        ({"where": "color_selectivity > 0.5 and n >= 3"}, ["--where", "color_selectivity > 0.5 and n >= 3"]),
        (
            {"sort": "color_names.red", "direction": "ascending"},
            ["--sort", "color_names.red", "--direction", "ascending"],
        ),
    ],
)
def test_rows_are_those_of_find(client, made, question, options):
    rows = typed("find", made.folder.path, *options, "--json")
    answer = found(client, limit=1000, **question)
    assert answer["rows"] == rows
    assert answer["total"] == len(rows)


def test_pages_are_the_whole_cut_into_parts(client, made):
    rows = typed("find", made.folder.path, "--json")
    parts = [found(client, limit=50, offset=offset)["rows"] for offset in range(0, len(rows) + 50, 50)]
    assert [row for part in parts for row in part] == rows
    assert parts[-1] == []


def test_neurons_one_by_one(client):
    rows = found(client, neurons="stem:2,features.10:7,stem:2")["rows"]
    assert {(row["layer"], row["channel"]) for row in rows} == {("stem", 2), ("features.10", 7)}


def test_words_are_explained(client):
    assert "zebra" in found(client, q="zebra")["understood"]
    assert found(client)["understood"] == ""


def test_csv_has_the_same_rows(client):
    text = client.get("/api/i/made/neurons", params={"format": "csv", "limit": 5}).text
    rows = found(client, limit=5)["rows"]
    read = list(csv.DictReader(io.StringIO(text)))
    assert [row["layer"] for row in read] == [row["layer"] for row in rows]
    assert [float(row["a_max"]) if row["a_max"] else None for row in read] == [row["a_max"] for row in rows]
    assert [json.loads(row["classes"]) if row["classes"] else None for row in read] == [row["classes"] for row in rows]


@pytest.mark.parametrize("neuron", ["stem:2", "features.10:8", "stem:5"])
def test_a_neuron_is_that_of_show(client, made, neuron):
    assert client.get(f"/api/i/made/neurons/{neuron}").json() == typed("show", made.folder.path, neuron, "--json")


def test_similar_neurons_are_those_of_similar(client, made):
    rows = client.get("/api/i/made/neurons/stem:2/similar", params={"limit": 7}).json()
    assert rows == typed("similar", made.folder.path, "stem:2", "--limit", "7", "--json")


def test_differences_are_those_of_diff(client, made, other):
    answer = client.get("/api/diff", params={"a": "made", "b": "other"}).json()
    expected = {
        (row["layer"], row["channel"]): row for row in typed("diff", made.folder.path, other.folder.path, "--json")
    }
    assert {(row["layer"], row["channel"]): row for row in answer["rows"]} == expected
    assert answer["total"] == len(answer["rows"]) == 122


def test_indexes_and_columns(client, made):
    (first, second) = client.get("/api/indexes").json()
    assert (first["name"], second["name"]) == ("made", "other")
    assert first["neurons"] == len(made.rows)
    assert first["classes"] == len(CLASS_NAMES)
    names = {each["name"] for each in client.get("/api/i/made/columns").json()}
    assert {"color_selectivity", "color_names.red", "label"} <= names
    assert "classes" not in names


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/api/i/made/neurons?where=color_selectivty>1", 400, "color_selectivity"),
        ("/api/i/made/neurons?where=color_selectivity>", 400, ""),
        ("/api/i/made/neurons?q=zebr", 400, "zebra"),
        ("/api/i/made/neurons?layer=stm", 400, "stem"),
        ("/api/i/made/neurons?direction=sideways", 400, "ascending"),
        ("/api/i/made/neurons?limit=0", 400, "limit"),
        ("/api/i/made/neurons?limit=1000000", 400, "limit"),
        ("/api/i/made/neurons?offset=-1", 400, "offset"),
        ("/api/i/made/neurons?neurons=stem", 400, "stem"),
        ("/api/i/made/neurons?neurons=stem:999", 404, "69"),
        ("/api/i/made/neurons/stem:999", 404, "69"),
        ("/api/i/made/neurons/nothing", 404, "LAYER:CHANNEL"),
        ("/api/i/made/neurons/stem:2/similar?by=name", 400, "by"),
        ("/api/i/mad/neurons", 404, "made"),
        ("/api/diff?a=made&b=nothing", 404, "nothing"),
        ("/api/nothing", 404, ""),
    ],
)
def test_what_is_wrong_is_said_in_one_line(client, path, status, reason):
    answer = client.get(path)
    assert answer.status_code == status
    detail = answer.json()["detail"]
    assert reason in detail
    assert len(detail.splitlines()) == 1


def test_nothing_can_be_written(client):
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert client.request(method, "/api/i/made/neurons").status_code == 405


def test_the_description_names_every_path(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert "/api/i/{index}/neurons" in paths
    page = client.get("/docs").text
    assert all(path in page for path in paths)
