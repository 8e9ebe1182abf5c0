"""The explorer in a real browser: what a visitor does, without a console error and without a foreign request."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from raysel.explorer.site import write_site
from raysel.store import open_index
from tests.explorer.conftest import chromium

pytestmark = pytest.mark.timeout(180)
WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def browser() -> Iterator:
    program = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield launched
        launched.close()


class Visitor:
    """A page of the browser that remembers everything that went wrong."""

    def __init__(self, browser, base: str, size: tuple[int, int] = WIDTHS["desktop"], theme: str = "light") -> None:
        self.base, self.problems = base, []
        self.context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=theme, permissions=["clipboard-write"]
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.page.on("console", lambda said: said.type in ("error", "warning") and self.problems.append(said.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", self._asked)
        self.page.on("response", self._answered)

    def _asked(self, request) -> None:
        if not request.url.startswith((self.base, "blob:")):
            self.problems.append(f"a request for {request.url}")

    def _answered(self, response) -> None:
        if response.status >= 400:
            self.problems.append(f"{response.status} for {response.url}")

    def open(self, path: str):
        self.page.goto(self.base + path)
        return self.page


@pytest.fixture
def visit(browser, address):
    visitors = []

    def visited(size: str = "desktop", theme: str = "light", base: str = address) -> Visitor:
        visitors.append(Visitor(browser, base, WIDTHS[size], theme))
        return visitors[-1]

    yield visited
    for visitor in visitors:
        visitor.context.close()
        assert not visitor.problems


@pytest.fixture(scope="module")
def site(made, tmp_path_factory) -> Iterator[str]:
    """Where the static site is served, below a path as in a bucket."""
    folder = tmp_path_factory.mktemp("bucket")
    write_site(open_index(made.folder.path), folder / "site", "made")
    handler = partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/site"
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def shown(page) -> list[str]:
    return page.locator("#tiles .address").all_text_contents()


def total(page) -> int:
    return int(page.locator(".total b").first.text_content().replace(",", ""))


def test_from_the_network_to_a_neuron_and_on(visit):
    page = visit().open("/i/made/")
    page.get_by_role("heading", name="stem").get_by_role("link").click()
    page.wait_for_url("**/gallery?layer=stem")
    page.locator("#tiles .tile a").first.click()
    page.wait_for_url("**/neuron/stem:*")
    first = page.url
    page.keyboard.press("ArrowRight")
    page.wait_for_url(lambda url: url != first)
    page.keyboard.press("ArrowLeft")
    page.wait_for_url(first)
    page.get_by_role("heading", name="Similar neurons").scroll_into_view_if_needed()
    page.locator("#similar .tile").first.wait_for()
    page.get_by_role("button", name="same classes").click()
    page.locator("#similar .tile").first.wait_for()
    assert page.get_by_role("button", name="same classes").get_attribute("aria-pressed") == "true"


def test_a_search_is_a_link(visit, client):
    page = visit().open("/i/made/")
    page.keyboard.press("/")
    page.keyboard.type("red")
    page.keyboard.press("Enter")
    page.wait_for_url("**/gallery?q=red")
    expected = client.get("/api/i/made/neurons", params={"q": "red", "limit": 5}).json()
    assert total(page) == expected["total"]
    assert shown(page)[:5] == [f"{row['layer']}:{row['channel']}" for row in expected["rows"]]
    page.get_by_label("Condition").fill("n >= 10")
    page.get_by_role("button", name="Find", exact=True).click()
    page.wait_for_url(re.compile("where="))
    fewer, link = shown(page), page.url
    assert "sort=" not in link  # what is empty is not in the address
    assert total(page) < expected["total"]
    page.reload()
    assert shown(page) == fewer
    assert visit().page.goto(link).status == 200


def test_the_gallery_goes_on_as_it_is_scrolled(visit, made):
    page = visit().open("/i/made/gallery")
    while page.locator(".more").count():
        count = page.locator("#tiles .tile").count()
        page.locator(".more").scroll_into_view_if_needed()
        page.wait_for_function("count => document.querySelectorAll('#tiles .tile').length > count", arg=count)
    assert len(set(shown(page))) == len(made.rows)


def test_a_question_that_fails_says_why(browser, address):
    visitor = Visitor(browser, address)
    page = visitor.open("/i/made/gallery")
    page.get_by_label("Condition").fill("color_selectivty > 1")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    assert "color_selectivity" in page.get_by_role("alert").text_content()
    page.get_by_label("Condition").fill("n >= 10")
    page.keyboard.press("Enter")
    page.locator("#tiles .tile").first.wait_for()
    assert all("400" in problem for problem in visitor.problems)
    visitor.context.close()


def test_a_brush_selects_and_its_link_keeps_it(visit, made):
    page = visit().open("/i/made/plane")
    canvas = page.locator("canvas[data-ready]")
    canvas.wait_for()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.1)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * 0.5, steps=5)
    page.mouse.up()
    page.wait_for_url(re.compile("x0="))
    ends = [float(page.locator(f"[name={name}]").input_value()) for name in ("x0", "x1", "y0", "y1")]
    x, y = page.locator("#x").input_value(), page.locator("#y").input_value()
    assert (x, y) == ("color_selectivity", "class_selectivity")
    expected = {
        f"{row['layer']}:{row['channel']}"
        for row in made.rows
        if row[x] is not None and row[y] is not None and ends[0] <= row[x] <= ends[1] and ends[2] <= row[y] <= ends[3]
    }
    assert expected
    assert set(shown(page)) == expected
    page.reload()
    page.locator("#tiles .tile").first.wait_for()
    assert set(shown(page)) == expected
    drawn = set(page.locator("#tiles .address").evaluate_all("all => all.map(each => each.innerHTML)"))
    page.get_by_role("link", name="in the gallery").click()
    page.wait_for_url("**/gallery?where=*")
    assert total(page) == len(expected)
    assert drawn == set(page.locator("#tiles .address").evaluate_all("all => all.map(each => each.innerHTML)"))


def test_a_point_shows_its_neuron(visit, made):
    page = visit().open("/i/made/plane?layer=features.10")
    canvas = page.locator("canvas[data-ready]")
    canvas.wait_for()
    row = next(
        r for r in made.rows if r["layer"] == "features.10" and r["class_selectivity"] and r["color_selectivity"] > 0.2
    )
    box = canvas.bounding_box()
    x = 58 + (box["width"] - 58 - 16) * row["color_selectivity"]
    y = 14 + (box["height"] - 14 - 42) * (1 - row["class_selectivity"])
    page.mouse.move(box["x"] + x, box["y"] + y)
    page.locator("#hover").wait_for()
    assert page.locator("#hover .address").text_content().startswith("features.10:")
    page.mouse.click(box["x"] + x, box["y"] + y)
    page.wait_for_url("**/neuron/features.10:*")


def test_a_list_is_picked_shared_and_emptied(visit):
    page = visit().open("/i/made/gallery")
    picked = shown(page)[:2]
    for name in picked:
        page.locator(f'.pick[data-neuron="{name}"]').click(force=True)
    page.get_by_role("link", name="List").click()
    page.wait_for_url("**/list?neurons=*")
    assert shown(page) == picked
    link = page.url
    colleague = visit().page
    colleague.goto(link)
    assert shown(colleague) == picked
    page.locator(f'.pick[data-neuron="{picked[0]}"]').click()
    page.wait_for_url(lambda url: url != link)
    assert shown(page) == picked[1:]
    page.get_by_role("button", name="Clear").click()
    page.wait_for_url("**/list")
    assert shown(page) == []


def test_two_indexes_are_compared(visit):
    page = visit().open("/i/made/")
    page.get_by_role("link", name="Compare").click()
    page.get_by_role("heading", name="Color selectivity").wait_for()
    page.get_by_label("Color-selective above").fill("0.8")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**/compare?*color=0.8*")
    assert page.locator(".pair").count() > 0


@pytest.mark.parametrize(("size", "theme"), [("desktop", "light"), ("phone", "dark")])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/i/made/",
        "/i/made/plane?x0=0.5",
        "/i/made/gallery?q=red",
        "/i/made/neuron/features.10:8",
        "/i/made/list?neurons=stem:2",
        "/compare?a=made&b=other",
        "/i/made/crop/0/stem:2",
        "/docs",
    ],
)
def test_every_page_is_accessible_and_fits(visit, path, size, theme):
    from axe_playwright_python.sync_playwright import Axe

    page = visit(size, theme).open(path)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    found = Axe().run(page).response["violations"]
    serious = [
        (each["id"], each["nodes"][0]["html"][:200]) for each in found if each["impact"] in ("serious", "critical")
    ]
    assert not serious


def test_the_static_site_is_the_same(visit, site, client):
    page = visit(base=site).open("/index.html")
    page.get_by_role("heading", name="stem").get_by_role("link").click()
    page.wait_for_url("**/gallery.html?layer=stem")
    wait_for_total(page, 70)
    page.get_by_label("Words").fill("red")
    page.get_by_label("Layer").fill("")
    page.get_by_role("button", name="Find", exact=True).click()
    page.wait_for_url(re.compile(r"gallery\.html\?q=red$"))
    page.locator("#tiles .tile").first.wait_for()
    page.get_by_label("Condition").fill("color_selectivity > 0.5 and class_selectivity <= 0.4")
    page.get_by_role("button", name="Find", exact=True).click()
    page.wait_for_url(re.compile("where="))
    question = {"q": "red", "where": "color_selectivity > 0.5 and class_selectivity <= 0.4", "limit": 1000}
    expected = client.get("/api/i/made/neurons", params=question).json()
    wait_for_total(page, expected["total"])
    page.locator("#tiles .tile a").first.click()
    page.wait_for_url("**/neuron/*.html")
    page.locator(".crops svg").first.wait_for()
    page.get_by_role("link", name="Random").click()
    page.wait_for_url(lambda url: "/neuron/" in url)
    page.locator(".heading .pick").click()
    page.get_by_role("link", name="List").click()
    page.wait_for_url("**/list.html?neurons=*")
    page.locator("#tiles .tile").first.wait_for()
    page.get_by_role("link", name="Plane").click()
    page.locator("canvas[data-ready]").wait_for()


def wait_for_total(page, count: int) -> None:
    """Until the browser has answered: the page comes with the answer to no question."""
    page.wait_for_function("said => document.querySelector('.total').textContent.startsWith(said)", arg=f"{count:,} ")


def test_the_static_site_handles_names_like_paths(visit, site):
    page = visit(base=site).open("/gallery.html?layer=odd*")
    page.locator("#tiles .tile a[href*=odd]").first.click()  # until the script has asked, others are there too
    page.wait_for_url("**/neuron/*.html")
    assert page.locator(".portrait img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 9


def test_the_site_can_be_written_again_but_not_over_other_files(made, tmp_path):
    from raysel.errors import RayselError

    out = tmp_path / "site"
    first = write_site(open_index(made.folder.path), out, "made")
    assert write_site(open_index(made.folder.path), out, "made") == first
    assert len([path for path in out.rglob("*") if path.is_file()]) == first
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "thesis.txt").write_text("years of work")
    with pytest.raises(RayselError, match="other files"):
        write_site(open_index(made.folder.path), tmp_path / "own", "made")
    assert Path(tmp_path / "own" / "thesis.txt").read_text() == "years of work"
