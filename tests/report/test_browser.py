# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab report in a real browser: widths, colours, speed, accessibility; nothing runs or is loaded."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Dialog, Page, sync_playwright

from ansible_collections.gpulab.pachyderm.plugins.module_utils._report import write_report
from tests.report import labs

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(
    not CHROMIUM, reason="needs chromium, which scripts/setup.sh installs as root on Debian"
)
WIDTHS = (360, 820, 1400)
NOTHING: dict[str, Any] = {"nodes": [], "cluster": None, "pachyderm": None, "logs": []}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Root has no sandbox of Chromium's; the page is our own.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(browser: Browser, directory: Path, found: dict[str, Any], **settings: Any) -> Page:
    options = {"dest": str(directory / "report.html"), "title": "Lab report", "changes_from": ""}
    write_report(options | found, check_mode=False)
    page = browser.new_context(**settings).new_page()
    page.goto((directory / "report.html").as_uri())
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_fits_and_is_accessible(browser: Browser, tmp_path: Path, width: int, scheme: str) -> None:
    settings = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    page = opened(
        browser, tmp_path, labs.whole(pipelines=12, jobs=40, odd=labs.MARKUP + 90 * "w"), **settings
    )
    assert page.evaluate("document.documentElement.scrollWidth") == width
    result = Axe().run(page)
    assert result.violations_count == 0, result.generate_report()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")


def test_markup_is_text_and_nothing_runs_or_is_loaded(browser: Browser, tmp_path: Path) -> None:
    alerts: list[str] = []
    asked: list[str] = []
    options = {"dest": str(tmp_path / "report.html"), "title": labs.MARKUP, "changes_from": ""}
    write_report(options | labs.whole(pipelines=12, jobs=40, odd=labs.MARKUP), check_mode=False)
    page = browser.new_page()

    def dismiss(dialog: Dialog) -> None:
        alerts.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "report.html").as_uri())
    assert page.locator("script, iframe, link, img, object").count() == 0
    assert page.locator("h1").inner_text() == labs.MARKUP
    assert page.locator(".graph title", has_text=labs.MARKUP).count() == 2
    assert labs.MARKUP in page.locator("pre").inner_text()
    assert (alerts, asked) == ([], [(tmp_path / "report.html").as_uri()])


def test_sixty_pipelines_have_each_a_box_of_its_own(browser: Browser, tmp_path: Path) -> None:
    page = opened(browser, tmp_path, labs.whole(jobs=10))
    boxes = page.locator(".graph g").evaluate_all("all => all.map(g => g.getBoundingClientRect().toJSON())")
    assert len(boxes) == 63
    apart = [
        a["right"] <= b["left"]
        or b["right"] <= a["left"]
        or a["bottom"] <= b["top"]
        or b["bottom"] <= a["top"]
        for number, a in enumerate(boxes)
        for b in boxes[:number]
    ]
    assert all(apart)
    inside = "all => all.every(t => t.getBBox().x + t.getBBox().width <= 168)"
    assert page.locator(".graph text").evaluate_all(inside)


def test_five_thousand_jobs_load_in_two_seconds(browser: Browser, tmp_path: Path) -> None:
    page = opened(browser, tmp_path, labs.whole(jobs=5000))
    loaded = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert page.locator(".row rect:not(.q)").count() == 5000
    assert 0 < loaded < 2000


def test_a_lab_without_anything(browser: Browser, tmp_path: Path) -> None:
    text = opened(browser, tmp_path, NOTHING).locator("main").inner_text()
    for missing in ("no GPU nodes", "no cluster", "no Pachyderm", "No change is recorded"):
        assert missing in text
