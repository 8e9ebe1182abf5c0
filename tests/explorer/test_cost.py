"""What an answer costs does not grow with the index: counts, because times depend on the machine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.testclient import TestClient

from raysel.explorer.app import create_app
from raysel.store.table_reader import TableReader


@pytest.fixture
def reads(monkeypatch) -> list[tuple[str, int]]:
    """(file, row groups) of every read."""
    seen: list[tuple[str, int]] = []
    where, group, read = TableReader.where, TableReader.group, TableReader.read

    def counted_where(self, *arguments, **wanted):
        seen.append((self.name, len(self.groups_with(**wanted))))
        return where(self, *arguments, **wanted)

    def counted_group(self, *arguments):
        seen.append((self.name, 1))
        return group(self, *arguments)

    def counted_read(self, *arguments):
        seen.append((self.name, self._footer.num_row_groups))
        return read(self, *arguments)

    monkeypatch.setattr(TableReader, "where", counted_where)
    monkeypatch.setattr(TableReader, "group", counted_group)
    monkeypatch.setattr(TableReader, "read", counted_read)
    return seen


@pytest.fixture
def client(made) -> TestClient:
    return TestClient(create_app([made.folder.path]), "http://localhost")


def test_pages_about_all_neurons_read_nothing_more(client, reads):
    client.get("/i/made/gallery")  # the words of the first question are collected once
    reads.clear()
    for path in (
        "/i/made/",
        "/i/made/plane",
        "/i/made/gallery?q=red",
        "/i/made/gallery?where=n>3&offset=60",
        "/api/i/made/neurons",
    ):
        assert client.get(path).status_code == 200
    assert reads == []


def test_a_neuron_reads_one_row_group_of_each_table(client, reads):
    assert client.get("/i/made/neuron/features.10:20").status_code == 200
    assert sorted(name.rsplit("/", 1)[1] for name, _ in reads) == ["features.10.parquet"] * 2 + ["rankings.parquet"]
    assert [groups for _, groups in reads] == [1] * 3
    reads.clear()
    client.get("/i/made/neuron/features.10:20")
    assert reads == []


def test_a_feature_brings_its_row_group_for_its_neighbors(client, reads):
    for channel in (0, 1, 2, 3, 4, 6, 7):
        assert client.get(f"/i/made/feature/features.10:{channel}").status_code == 200
    assert len(reads) == 1


def test_many_at_once_stay_within_the_bound(client):
    cache = client.app.state.catalog.cache
    cache.most_bytes = 300_000
    paths = [f"/i/made/neuron/stem:{channel}" for channel in range(70)]
    paths += [f"/i/made/sheet/stem:{channel}" for channel in range(70) if channel % 11 != 5]
    paths += [f"/i/made/gallery?offset={offset}" for offset in range(0, 120, 2)]
    with ThreadPoolExecutor(32) as threads:
        answers = list(threads.map(client.get, paths))
    assert {answer.status_code for answer in answers} == {200}
    assert cache.bytes <= 300_000
