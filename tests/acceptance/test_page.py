"""The page in a real Chromium, inside Airflow's own frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.fixtures.fix_browser import Browser, opened, row, watch_rows, worst_contrast
from tests.fixtures.fix_deployment import Deployment, wait_until

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = pytest.mark.acceptance

FILMS, FAILS = "page_films", "page_fails"
MANY = 500
CONTRAST = 4.5  # WCAG AA for text of this size


@pytest.fixture(scope="module")
def pipelines(deployment: Deployment) -> Iterator[Deployment]:
    """One pipeline that ran, one that failed, one whose spec is broken."""
    deployment.install(FILMS, schedule=None, description="Films for the page", tags=["page"])
    deployment.install(FAILS, source={"conn_id": "nowhere_db", "query": "SELECT 1 AS a", "primary_key": ["a"]}, retries=0)
    deployment.drop("page_broken", {"source": {}, "target": {}})
    deployment.cycle(FILMS)
    deployment.cycle(FILMS)
    assert deployment.finish(FAILS, deployment.api.trigger(FAILS)) == "failed"
    yield deployment
    for name in (FILMS, FAILS, "page_broken"):
        (deployment.include / "jobs" / f"{name}.yaml").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def session(chromium: Chrome, pipelines: Deployment) -> Browser:
    """A browser that is logged in as admin."""
    browser = Browser(chromium, pipelines.server.url)
    browser.login("admin")
    return browser


@pytest.fixture
def browser(session: Browser) -> Iterator[Browser]:
    """The page in Airflow's frame, wide and light; a script's error on it fails the test."""
    session.driver.switch_to.default_content()
    session.resize(1440)
    session.js("localStorage.setItem('theme', 'light')")
    session.errors()
    session.open_framed()
    yield session
    assert session.errors() == []


def test_airflow_has_the_page_in_its_navigation(session: Browser) -> None:
    """Browse > Pipelines leads to the page, which Airflow frames."""
    session.driver.switch_to.default_content()
    session.driver.get(session.url)
    session.wait(lambda: "Browse" in session.text("nav, #root"), "the navigation")
    buttons = [element for element in session.all("nav button, nav a, #root button") if element.text == "Browse"]
    buttons[0].click()
    session.wait(lambda: any("Pipelines" in link.text for link in session.all("a[href*='plugin/pipelines']")), "the entry")


def test_rows_come_worst_first_with_their_reason(browser: Browser) -> None:
    """Broken and failed pipelines come before the healthy one, and say what is wrong and how to fix it."""
    ids = browser.js("return [...document.querySelectorAll('.row')].map((row) => row.dataset.id)")
    assert ids.index("page_broken") < ids.index(FILMS)
    assert ids.index(FAILS) < ids.index(FILMS)
    assert "Is the server up and reachable from this worker?" in browser.text(row(FAILS, ".said"))
    assert "Broken spec" in browser.text(row("page_broken", ".health"))
    healthy = browser.text(row(FILMS))
    assert "Up to date." in healthy
    assert "1,000 in" in healthy
    browser.wait(lambda: "1,000 = 1,000" in browser.text(row(FILMS, ".counts")), "both sides to be counted")
    assert browser.js("return document.querySelectorAll(arguments[0]).length", row(FILMS, "svg.bars rect")) == 20
    browser.keep("light")


def test_a_row_opens_in_place(browser: Browser) -> None:
    """An open row shows cursors, windows, time per task, columns, refused rows, the chart, and the spec with its file."""
    opened(browser, FILMS)
    browser.wait(lambda: "No drift" in browser.text(row(FILMS, ".detail")), "the columns")
    text = browser.text(row(FILMS, ".detail"))
    for part in ("Cursor after", "Next window from", "detect_changes", "None: the target took every row.", f"include/jobs/{FILMS}.yaml", "primary_key"):
        assert part in text
    assert browser.all(row(FILMS, "svg.history path.lag"))
    browser.keep("open")
    browser.find(row(FILMS, ".name")).click()
    assert not browser.all(row(FILMS, ".detail"))[0].is_displayed()


def test_run_now_is_seen_without_a_reload(browser: Browser, pipelines: Deployment) -> None:
    """A click asks for a run; the row says so, works, and comes to rest, all by itself."""
    before = len(pipelines.api.runs(FILMS))
    browser.find(row(FILMS, ".buttons button")).click()
    browser.wait(lambda: "a run was requested" in browser.text("#toasts"), "the answer")
    browser.wait(lambda: browser.text(row(FILMS, ".state")) in {"requested", "running"}, "the row to say so")
    browser.wait(lambda: browser.text(row(FILMS, ".state")) == "idle", "the row to come to rest", timeout=90)
    assert len(pipelines.api.runs(FILMS)) == before + 1


def test_pause_and_resume(browser: Browser, pipelines: Deployment) -> None:
    """Pause turns the DAG off in Airflow and the row grey; resume turns it on."""
    for word, paused in (("Pause", True), ("Resume", False)):
        next(button for button in browser.all(row(FILMS, ".buttons button")) if button.text == word).click()
        wait_until(lambda paused=paused: (pipelines.api.dag(FILMS) or {})["is_paused"] is paused, f"the DAG after {word}")  # type: ignore[misc]
        browser.wait(lambda paused=paused: ("paused" in browser.text(row(FILMS, ".state"))) is paused, f"the row after {word}")


def test_the_dag_opens_in_airflow_around_the_frame(browser: Browser) -> None:
    """The frame may not leave by itself; the link takes Airflow's own page to the DAG."""
    browser.find(row(FILMS, "a.button")).click()
    browser.driver.switch_to.default_content()
    browser.wait(lambda: f"/dags/{FILMS}" in browser.driver.current_url, "Airflow to go there")
    browser.wait(lambda: FILMS in browser.text("#root"), "the DAG's page")


def test_a_pipeline_is_added_with_its_problems_seen_while_typing(browser: Browser, pipelines: Deployment) -> None:
    """The form tells line and fix as one types, lets nothing wrong be saved, shows the plan, and saves."""
    spec = f"source:\n  conn_id: movies_db\n  query: {pipelines.spec('x')['source']['query']}\n  primary_key: [film]\ntarget:\n  type: postgres\n"
    spec += "  conn_id: analytics_db\n  table: analytics.page_added\n"
    browser.find("#add").click()
    save, look = browser.find("dialog .primary"), browser.all("dialog .bar.end button")[1]
    browser.find("dialog input").send_keys("page_added")
    browser.js("const t = document.querySelector('.yaml'); t.value = arguments[0]; t.dispatchEvent(new Event('input'))", spec)
    browser.wait(lambda: "'film' is not a column of the query" in browser.text(".problems"), "the problem")
    assert "line 4" in browser.text(".problems")
    assert not save.is_enabled()
    browser.keep("form")
    browser.js("const t = document.querySelector('.yaml'); t.value = arguments[0]; t.dispatchEvent(new Event('input'))", spec.replace("[film]", "[film_id]"))
    browser.wait(save.is_enabled, "the save button")
    look.click()
    browser.wait(lambda: "1,000 rows would be written" in browser.text(".plan"), "the plan")
    pipelines.dropped.append("page_added")
    save.click()
    browser.find(row("page_added"))
    wait_until(lambda: pipelines.api.dag("page_added") is not None, "Airflow to know it")
    (pipelines.include / "jobs" / "page_added.yaml").unlink()


def test_fields_that_are_filled_in_become_a_spec(browser: Browser) -> None:
    """Who doesn't write YAML fills in fields and sees the YAML they make."""
    browser.find("#add").click()
    browser.find("dialog summary").click()
    fields = browser.all(".guided input, .guided textarea")
    for field, value in zip(
        fields, ["Films", "", "movies_db", "analytics_db", "SELECT id, title FROM content.film_work", "id", "", "analytics.filled"], strict=True
    ):
        field.send_keys(value)
    browser.find("dialog input").send_keys("page_filled")
    browser.wait(lambda: "✓" in browser.text(".problems"), "the spec to be right")
    assert "  primary_key: [id]\n" in str(browser.js("return document.querySelector('.yaml').value"))


def test_dark_and_light_follow_airflows_own_switch(browser: Browser) -> None:
    """What Airflow shows is what the page shows, at once and after a reload; text can be read in both."""
    seen = {}
    for theme in ("dark", "light"):
        browser.driver.switch_to.default_content()
        browser.js("document.documentElement.classList.remove('dark', 'light'); document.documentElement.classList.add(arguments[0])", theme)
        browser.driver.switch_to.frame(browser.find("iframe"))
        browser.wait(lambda theme=theme: browser.js("return document.documentElement.dataset.theme") == theme, theme)
        seen[theme] = browser.js("return getComputedStyle(document.body).backgroundColor")
        assert worst_contrast(browser) >= CONTRAST
    assert seen["dark"] != seen["light"]
    browser.js("localStorage.setItem('theme', 'dark')")
    browser.driver.switch_to.default_content()
    browser.open_framed()
    assert browser.js("return document.documentElement.dataset.theme") == "dark"
    opened(browser, FILMS)
    browser.keep("dark")


@pytest.mark.parametrize("width", [320, 375, 768, 1130, 1150, 1350, 1370, 2560])
def test_it_fits_every_width(session: Browser, width: int) -> None:
    """From a small phone to a wide screen nothing has to be scrolled sideways, open or closed, and no text leaves its row."""
    session.driver.switch_to.default_content()
    session.resize(width)
    session.driver.get(f"{session.url}/querymirror/page")
    session.find(".row")
    for _ in range(2):
        assert session.js("return document.documentElement.scrollWidth - window.innerWidth") <= 0
        outside = session.js("""
            return [...document.querySelectorAll('.row .cell, .row .line, .row button')].filter((e) => e.offsetParent)
              .filter((e) => e.getBoundingClientRect().right > e.closest('.row').getBoundingClientRect().right + 1).map((e) => e.className);
        """)
        assert outside == []
        overlapping = session.js("""
            return [...document.querySelectorAll('.row .cell')].filter((e) => e.offsetParent && e.scrollWidth > e.clientWidth + 1).map((e) => e.className);
        """)
        assert overlapping == []
        if width == 320:
            session.keep("narrow")
        opened(session, FILMS)


def test_it_works_by_keyboard_alone(browser: Browser) -> None:
    """/ goes to the filter, arrows go from row to row, Enter opens one, Escape closes it, and the focus can be seen."""
    from selenium.webdriver import ActionChains, Keys  # noqa: PLC0415 - only where a browser is

    def press(*keys: str) -> None:
        ActionChains(browser.driver).send_keys(*keys).perform()

    browser.find("h1").click()
    press("/")
    assert browser.js("return document.activeElement.id") == "filter"
    press(*FILMS)
    browser.wait(lambda: browser.js("return [...document.querySelectorAll('.row')].filter((row) => !row.hidden).length") == 1, "the filter")
    press(Keys.ESCAPE, Keys.ARROW_DOWN)
    assert browser.js("return document.activeElement.closest('.row')?.dataset.id") == FILMS
    assert browser.js("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    press(Keys.ENTER)
    browser.find(row(FILMS, ".detail .card"))
    assert browser.js("return document.activeElement.getAttribute('aria-expanded')") == "true"
    press(Keys.ESCAPE)
    assert browser.js("return document.activeElement.getAttribute('aria-expanded')") == "false"


def test_an_error_is_shown_whole_where_it_happened(browser: Browser) -> None:
    """The open row of a failed pipeline begins with the error and its fix; a broken one lists every problem with its line."""
    opened(browser, FAILS)
    assert "Is the server up and reachable" in browser.text(row(FAILS, ".detail .error"))
    browser.keep("error")
    opened(browser, "page_broken")
    assert len(browser.all(row("page_broken", ".detail .error li"))) > 1


def test_a_viewer_sees_and_can_not_act(session: Browser) -> None:
    """Who may only read has no buttons that would be refused."""
    session.login("viewer")
    session.open_framed()
    assert [element.text for element in session.all(row(FILMS, ".buttons *"))] == ["DAG"]
    assert not session.find("#add").is_displayed()
    opened(session, FILMS)
    assert "Full refresh" not in session.text(row(FILMS, ".detail"))
    session.driver.switch_to.default_content()
    session.login("admin")


def test_what_is_known_stays_when_airflow_is_gone(browser: Browser, pipelines: Deployment) -> None:
    """While the api-server is down the rows stay, with a notice of their age; once it is back the notice goes by itself."""
    pipelines.server.kill("api-server")
    browser.wait(lambda: "Airflow does not answer" in browser.text("#notice"), "the notice")
    assert browser.all(row(FILMS))
    pipelines.server.start()
    browser.wait(lambda: not browser.find("#notice").is_displayed(), "the notice to go", timeout=90)


def test_an_empty_folder_says_what_to_do(session: Browser, pipelines: Deployment) -> None:
    """Without a pipeline the page says what one is and offers to write it."""
    jobs, aside = pipelines.include / "jobs", pipelines.include / "aside"
    jobs.rename(aside)
    jobs.mkdir()
    try:
        session.open_framed()
        session.wait(lambda: "No pipelines yet" in session.text("#list"), "the words")
        session.keep("empty")
    finally:
        session.driver.switch_to.default_content()
        jobs.rmdir()
        aside.rename(jobs)


def test_500_pipelines_are_shown_without_lag(session: Browser, pipelines: Deployment) -> None:
    """Filtering 500 rows only hides some, and a look for news touches none that has none: the browser has nothing to lay out."""
    spec: dict[str, Any] = pipelines.spec("many", paused=True)
    jobs, written = pipelines.include / "jobs", []
    for number in range(MANY):
        spec["target"]["table"] = f"analytics.many_{number:03d}"
        written.append(pipelines.drop(f"many_{number:03d}", spec))
    try:
        session.open_framed()
        paused = "return document.querySelectorAll('[data-id^=many_][data-state=paused]').length"
        session.wait(lambda: session.js(paused) == MANY, "500 rows that Airflow knows", timeout=120)
        session.keep("many")
        watch_rows(session, "many_")
        filtered = session.js("""
            const filter = document.getElementById('filter');
            filter.value = 'many_49';
            filter.dispatchEvent(new Event('input'));
            return window.touched();
        """)
        assert {what for _, what in filtered} == {"hidden"}
        assert session.js("return [...document.querySelectorAll('.row')].filter((row) => !row.hidden).length") == 10
        session.wait(lambda: session.js("return window.looks()") > 2, "two looks for news to end")
        assert session.js("return window.touched()") == []
    finally:
        session.driver.switch_to.default_content()
        for path in written:
            path.unlink()
    assert jobs.is_dir()
