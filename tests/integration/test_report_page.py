"""The report in a real browser, opened from disk with the network off: what a researcher sees, and what an attacker does not get."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

if TYPE_CHECKING:
    from tests.integration.conftest import Program

Sweep = Callable[..., dict[str, Any]]

EVIL = "<script>window.owned=1</script></script><img src=x onerror=window.owned=2>\x1b[31m\u202e$x_1$"
FLAGS = (
    *(
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
    ),
    *("--disable-component-update", "--disable-sync"),
)
PATIENCE_S = 30


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no chromium with its chromedriver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options=options, service=Service(driver))
    found.set_network_conditions(offline=True, latency=0, throughput=0)
    yield found
    found.quit()


@pytest.fixture(scope="module")
def page(make_program: Callable[[Path], Program], sweep: Sweep, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run with two models, two prompt types, faults, a revoked key, and an attack in every text that people write."""
    folder = tmp_path_factory.mktemp("reported")
    program = make_program(folder)
    latency = {"ttft_s": 0.005, "itl_s": 0.0}
    sections = sweep(
        folder,
        keys={"k0": {"latency": latency}, "k1": {"latency": latency, "unauthorized_after": 5}},
        faults={"error_500": 0.1, "content_filter": 0.1},
    )
    rows = [
        {"id": f"t{n}{EVIL}", "question": f"{n} + {n}? {EVIL}", "answer": 2 * n, "task_type": EVIL} for n in range(60)
    ]
    (folder / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sections["models"] = {name: {"provider": "sim", "keys": ["k0", "k1"]} for name in ("plain", f"model {EVIL}")}
    sections["sweep"] = {"prompt_types": ["baseline", "cot"]}
    sections["run"] = {"max_retries": 0}
    program.write(sections)
    done = program.run("sweep.yaml")
    assert done.code == 1, done
    path = program.path(done)
    reported = program("report", path)
    assert reported.code == 0, reported
    assert reported.out.startswith(f"report written to {path / 'report.html'} (All 240 samples; ")
    return path / "report.html"


@pytest.fixture
def shown(browser: webdriver.Chrome, page: Path) -> webdriver.Chrome:
    browser.get("about:blank")
    browser.get_log("browser")  # type: ignore[no-untyped-call]
    browser.get(page.as_uri())
    WebDriverWait(browser, PATIENCE_S).until(
        lambda it: it.execute_script("return document.documentElement.dataset.ready")
    )
    return browser


def count_of(shown: webdriver.Chrome) -> str:
    return shown.find_element(By.ID, "count").text


def choose(shown: webdriver.Chrome, name: str, text: str) -> None:
    select = Select(shown.find_element(By.NAME, name))
    select.select_by_visible_text(next(one.text for one in select.options if one.text.startswith(text)))


def wait_for_count(shown: webdriver.Chrome, text: str) -> None:
    WebDriverWait(shown, PATIENCE_S).until(lambda it: count_of(it).startswith(text))


def test_the_page_says_nothing_to_the_console_and_runs_nothing_from_outside(shown: webdriver.Chrome) -> None:
    assert count_of(shown) == "240 of 240 samples"
    assert shown.execute_script("return window.owned") is None
    assert shown.execute_script("return document.scripts.length") == 2
    assert shown.execute_script("return [...document.images].filter((one) => !one.naturalWidth).length") == 0
    assert (
        shown.execute_script(
            "return performance.getEntriesByType('resource').filter(r => !r.name.startsWith('data:')).length"
        )
        == 0
    )
    assert shown.get_log("browser") == []  # type: ignore[no-untyped-call]


@pytest.mark.matrix
def test_the_filter_narrows_and_clearing_brings_all_back(shown: webdriver.Chrome) -> None:
    choose(shown, "model", "plain")
    wait_for_count(shown, "120 of")
    choose(shown, "prompt_type", "cot")
    wait_for_count(shown, "60 of")
    shown.find_element(By.NAME, "text").send_keys("17 + 17?")
    wait_for_count(shown, "1 of")
    shown.find_element(By.CSS_SELECTOR, "#filters button").click()
    wait_for_count(shown, "240 of")
    choose(shown, "error", "content_filter")
    named = Select(shown.find_element(By.NAME, "error")).first_selected_option.text
    wait_for_count(shown, f"{named.split('(')[1].rstrip(')')} of")


def test_a_sample_opens_with_its_conversation_as_text(shown: webdriver.Chrome) -> None:
    shown.find_element(By.CSS_SELECTOR, "#rows .row").click()
    pane = shown.find_element(By.ID, "sample")
    assert (
        "0 + 0? <script>window.owned=1</script></script><img src=x onerror=window.owned=2>\u241b[31m\ufffd$x_1$"
        in pane.text
    )
    assert [one.text for one in pane.find_elements(By.TAG_NAME, "h3")] == [
        pane.find_element(By.TAG_NAME, "h3").text,
        "CONVERSATION",
        "ATTEMPTS",
        "TIME",
    ]
    assert pane.find_elements(By.CSS_SELECTOR, "img, script") == []
    assert shown.execute_script("return location.hash").startswith("#sample-")
    assert shown.execute_script("return window.owned") is None


@pytest.mark.matrix
def test_only_the_rows_in_sight_exist_and_the_keyboard_walks_them(shown: webdriver.Chrome) -> None:
    rows = "return document.querySelectorAll('#rows .row').length"
    assert shown.execute_script(rows) < 60
    shown.execute_script("const list = document.getElementById('list'); list.scrollTop = list.scrollHeight")
    WebDriverWait(shown, PATIENCE_S).until(lambda it: it.find_elements(By.CSS_SELECTOR, "[aria-posinset='240']"))
    shown.execute_script("document.getElementById('list').scrollTop = 0")
    listed = shown.find_element(By.ID, "list")
    listed.send_keys("\ue015")
    assert shown.find_element(By.CSS_SELECTOR, "[aria-selected=true]").get_attribute("aria-posinset") == "1"
    listed.send_keys("\ue015")
    assert shown.find_element(By.CSS_SELECTOR, "[aria-selected=true]").get_attribute("aria-posinset") == "2"


@pytest.mark.matrix
def test_a_slow_sample_in_a_table_leads_to_its_conversation(shown: webdriver.Chrome) -> None:
    link = shown.find_element(By.CSS_SELECTOR, "#time a[href^='#sample-']")
    ordinal = link.text
    shown.execute_script("arguments[0].click()", link)
    WebDriverWait(shown, PATIENCE_S).until(lambda it: f"Sample {ordinal} " in it.find_element(By.ID, "sample").text)


@pytest.mark.matrix
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone_and_a_desk_by_day_and_night(shown: webdriver.Chrome, width: int, scheme: str) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 700}
    shown.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    shown.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    assert shown.execute_script("return document.documentElement.scrollWidth") <= width
    red = shown.execute_script("return getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
    assert (int(red) > 128) == (scheme == "light")
    shown.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
