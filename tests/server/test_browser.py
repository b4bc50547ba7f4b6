"""A real browser on a real server: what a person does, and what is left on disk."""

import contextlib
import re
import shutil

import numpy as np
import pytest
import torch

pytest.importorskip("fastapi")
playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: .[browser]")

from discrete_ca import CategoricalNoiseKernel, corruption, nn  # noqa: E402
from discrete_ca.data import Characters, DiscreteData  # noqa: E402
from discrete_ca.explore import Session  # noqa: E402
from discrete_ca.metrics import PitchCoding  # noqa: E402
from discrete_ca.server import Address  # noqa: E402
from tests.server.helpers import application, kernel, listening, slow  # noqa: E402

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a chromium on the PATH")
expect = playwright.expect
expect.set_options(timeout=20_000)  # a busy machine is slow, not wrong
SEED = 2  # of the toy kernel's chains, one that does not come back to where it was


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def visit(browser, monkeypatch):
    """Serves an application and opens its page; nothing may go wrong in the page.

    Sessions are seeded: which designs a person gets to choose from is the same every time.
    """
    monkeypatch.setattr("discrete_ca.server.shelf.secrets.randbits", lambda bits: SEED)
    with contextlib.ExitStack() as stack:
        complaints = []

        def go(app, after="", **options):
            address = stack.enter_context(listening(app))
            context = browser.new_context(accept_downloads=True, **options)
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(20_000)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
            page.goto(address + after)
            expect(page.locator("body[data-ready]")).to_be_attached()
            return page

        yield go
        assert complaints == []


def place_of(page, row, column, rows, columns):
    box = page.locator("#editor canvas").bounding_box()
    return (
        box["x"] + (column + 0.5) * box["width"] / columns,
        box["y"] + (row + 0.5) * box["height"] / rows,
    )


def drag(page, start, end, rows=6, columns=5):
    page.mouse.move(*place_of(page, *start, rows, columns))
    page.mouse.down()
    page.mouse.move(*place_of(page, *end, rows, columns), steps=5)
    page.mouse.up()


def title(page):
    return page.locator("#design-title")


def test_a_person_designs(tmp_path, visit):
    page = visit(application(tmp_path), viewport={"width": 1280, "height": 900})
    page.locator("#examples .face").nth(3).click()
    expect(title(page)).to_have_text("Design 1")

    page.get_by_role("button", name="Variants").click()
    expect(page.locator("#results .card input")).to_have_count(8)

    page.get_by_role("radio", name="Category 1").click()
    page.locator("#brush").fill("1")
    drag(page, (0, 0), (0, 4))  # paint the first row black, which locks it
    expect(page.locator("#design-facts")).to_have_text("paint · 5 locked")
    page.keyboard.press("l")
    page.keyboard.press("t")
    drag(page, (5, 0), (4, 1))  # lock a rectangle of four
    expect(page.locator("#design-facts")).to_have_text("lock · 9 locked")
    page.keyboard.press("m")
    drag(page, (0, 0), (5, 4))  # mark all: what is locked stays
    page.keyboard.press("i")
    expect(page.locator("#results-facts")).to_contain_text("8 by redraw")
    page.locator("#results .face").nth(2).click()
    expect(title(page)).to_have_text("Design 14")
    page.keyboard.press("s")
    expect(page.locator("#results .card .on")).to_have_count(1)

    page.keyboard.press("z")
    expect(title(page)).to_have_text("Design 11")
    page.keyboard.press("y")
    expect(title(page)).to_have_text("Design 14")
    page.locator("#note").fill("the one")
    page.locator("#note").blur()
    expect(page.locator("#tree .leaf[aria-current]")).to_have_attribute(
        "aria-label", re.compile("starred, the one")
    )

    page.reload()
    expect(page.locator("body[data-ready]")).to_be_attached()
    expect(page.locator("#tree-facts")).to_have_text("19 designs")
    expect(title(page)).to_have_text("Design 14")
    expect(page.locator("#note")).to_have_value("the one")
    page.keyboard.press("e")
    with page.expect_download() as download:
        page.get_by_role("button", name="Arrays (.npz)").click()
    exported = np.load(download.value.path())["states"][0]
    name = re.search("s=([0-9a-f]{16})", page.url)[1]

    session = Session.load(tmp_path / name, kernel())
    assert len(session) == 19 and session.replay() == []
    node, painted = session[14], session[11]
    locked = painted.locked.numpy()
    assert locked.sum() == 9 and locked[0].all() and locked[4:, :2].all()
    assert np.array_equal(exported[locked], painted.design.numpy()[locked])
    assert exported[0].tolist() == [1] * 5 and np.array_equal(exported, node.design.numpy())


def test_walks_blends_and_comparisons_by_keyboard(tmp_path, visit):
    page = visit(application(tmp_path))
    page.get_by_role("button", name="New ones from noise").press("Enter")
    expect(page.locator("#results .card input")).to_have_count(8)
    page.keyboard.press("g")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(title(page)).to_have_text("Design 2")
    page.keyboard.press("w")
    expect(page.locator("#results-facts")).to_contain_text("8 by walk from 2")
    for place in (0, 5):
        page.locator("#results .card input").nth(place).check()
    page.keyboard.press("c")
    expect(page.locator("#compare-facts")).to_contain_text("of 30 cells differ")
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    expect(page.locator("#results-facts")).to_contain_text("by blend")
    page.keyboard.press("d")  # to the design: a cell is painted by keys
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    expect(page.locator("#design-facts")).to_contain_text("paint")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Discard this design").click()
    expect(page.locator("#tree-facts")).to_have_text("24 designs")
    page.keyboard.press("?")
    expect(page.locator("#help-dialog")).to_be_visible()


def test_steps_that_drift_are_refused_where_the_model_can(tmp_path, visit):
    page = visit(application(tmp_path / "one", kernel=kernel(hold=0.1)))
    page.locator("#examples .face").first.click()
    page.get_by_label("Refuse steps that drift").check()
    page.keyboard.press("v")
    expect(page.locator("#results-facts")).to_have_text(
        re.compile(r"8 by variants from 1 · 168 evaluations · \d+ % of steps taken · ")
    )
    name = re.search("s=([0-9a-f]{16})", page.url)[1]
    session = Session.load(tmp_path / "one" / name, kernel(hold=0.1))
    assert session[2].recipe.operation.metropolis and session.replay() == []
    page.reload()  # the switch is kept
    expect(page.locator("body[data-ready]")).to_be_attached()
    expect(page.get_by_label("Refuse steps that drift")).to_be_checked()
    page.get_by_label("Refuse steps that drift").uncheck()
    page.keyboard.press("w")
    expect(page.locator("#results-facts")).to_have_text(
        re.compile(r"8 by walk from 1 · \d+ evaluations · [\d.]+ s")
    )

    noise = corruption.Absorbing(2)
    masks = CategoricalNoiseKernel(nn.MLP(2, 3, shape=(6, 5), width=8), noise)
    page = visit(application(tmp_path / "other", kernel=masks))
    assert page.get_by_label("Refuse steps that drift").count() == 0


def test_the_class_belongs_to_the_beginning(tmp_path, visit):
    told = kernel(num_classes=3)
    states = torch.randint(0, 2, (4, 6, 5), generator=torch.Generator().manual_seed(0))
    names = ("disc", "square", "star")
    data = DiscreteData(states, 2, torch.tensor([2, 0, 1, 2]), label_names=names)
    page = visit(application(tmp_path, kernel=told, examples=data))
    knob = page.get_by_label("Class", exact=True)

    def begin(name):
        if not page.locator("#begin-dialog").is_visible():
            page.keyboard.press("n")
        page.get_by_role("button", name=name).click()
        expect(page.locator("#begin-dialog")).to_be_hidden()

    def drawn_with(label):
        with page.expect_request("**/variants") as sent:
            page.locator("#variants").click()
        assert sent.value.post_data_json["label"] == label
        expect(page.locator("#results .card input")).to_have_count(8)

    faces = page.locator("#examples .face")
    expect(faces.nth(0)).to_have_attribute("title", "class star")
    assert knob.input_value() == ""
    begin("Example 0, class star")
    expect(knob).to_have_value("2")
    assert knob.locator("option").all_text_contents() == ["any", *names]
    drawn_with(2)
    page.locator("#results .face").nth(1).click()  # its own variants: the same beginning
    expect(title(page)).to_have_text("Design 3")
    assert knob.input_value() == "2"

    knob.select_option("square")  # the person's choice stays, by hand, by undo and when loaded anew
    drawn_with(1)
    page.keyboard.press("z")
    expect(title(page)).to_have_text("Design 1")
    assert knob.input_value() == "1"
    page.reload()
    expect(page.locator("body[data-ready]")).to_be_attached()
    expect(knob).to_have_value("1")

    begin("Example 1, class disc")  # another beginning, and the way back to the first
    expect(knob).to_have_value("0")
    knob.select_option("any")
    drawn_with(None)
    begin("Example 3, class star")
    expect(knob).to_have_value("2")
    page.keyboard.press("z")
    expect(knob).to_have_value("")
    begin("A blank sheet")  # no class of its own: the last that the person chose
    expect(title(page)).to_have_text("Design 28")
    assert knob.input_value() == ""
    knob.select_option("disc")
    page.keyboard.press("z")
    expect(knob).to_have_value("")
    page.keyboard.press("y")
    expect(knob).to_have_value("0")

    begin("Example 3, class star")
    page.keyboard.press("n")
    with page.expect_request("**/noise") as sent:
        page.get_by_role("button", name="New ones from noise, class disc").click()
    assert sent.value.post_data_json["label"] == 0
    expect(page.locator("#results-facts")).to_contain_text("8 by noise")
    assert knob.input_value() == "2"  # of the example, which is still picked
    page.locator("#results .face").nth(4).click()
    expect(knob).to_have_value("0")

    first = page.url
    page.get_by_role("button", name="Sessions").click()
    page.get_by_role("button", name="Start a new session").click()
    begin("Example 2, class square")
    expect(knob).to_have_value("1")
    page.goto(first)
    expect(knob).to_have_value("0")


def test_a_phone(tmp_path, visit):
    page = visit(
        application(tmp_path), viewport={"width": 375, "height": 740}, has_touch=True,
        is_mobile=True, color_scheme="dark",
    )  # fmt: skip
    assert page.locator("html").get_attribute("data-theme") == "dark"
    page.locator("#from-blank").tap()
    page.locator("#variants").tap()
    expect(page.locator("#results .card input")).to_have_count(8)
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 375
    page.locator("#editor canvas").scroll_into_view_if_needed()
    page.touchscreen.tap(*place_of(page, 2, 2, 6, 5))
    expect(page.locator("#design-facts")).to_have_text("paint · 4 locked")
    nameless = page.locator("button:visible, input:visible, textarea:visible, select:visible")
    for element in nameless.all():
        name = element.evaluate(
            "e => e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.[0]"
        )
        assert name, element.evaluate("e => e.outerHTML")


def test_text_is_written_and_locked(tmp_path, visit):
    app = application(tmp_path, 4, (12,), tokenizer=Characters("abc "))
    page = visit(app)
    page.locator("#begin-words").fill("abc abc abc abc")
    page.get_by_role("button", name="Begin with it").click()
    expect(page.locator(".tokens")).to_have_text("abc abc abc ")
    page.locator("#typed").fill("cc")
    page.locator("#typed").press("Enter")
    expect(page.locator(".tokens .locked")).to_have_text(["c", "c"])
    page.get_by_role("button", name="Variants").click()
    expect(page.locator("#results .card input")).to_have_count(8)  # frames have no boxes
    for words in page.locator("#results .words-face").all_text_contents():
        assert words.startswith("cc") and len(words) == 12
    page.keyboard.press("d")  # who writes gives no commands: N would begin another design
    page.keyboard.press("n")
    expect(page.locator("#status")).to_have_text("The model does not know “n”")
    assert page.locator("dialog[open]").count() == 0
    page.keyboard.press("End")
    page.keyboard.type("b")
    page.keyboard.press("Enter")
    expect(page.locator(".tokens")).to_have_text("ccc abc abcb")


def test_music_is_a_piano_roll(tmp_path, visit):
    app = application(tmp_path, 13, (4, 16), coding=PitchCoding(59, 0))
    page = visit(app)
    page.locator("#examples .face").first.click()
    page.get_by_role("radio", name="Tenor").click()
    drag(page, (11, 2), (11, 5), 13, 16)  # middle C for four steps
    expect(page.locator("#design-facts")).to_have_text("paint · 4 locked")
    page.locator("#play").click()
    expect(page.locator("#play")).to_be_visible()
    page.locator("#play").click()
    page.keyboard.press("e")
    with page.expect_download() as download:
        page.get_by_role("button", name="MIDI").click()
    assert download.value.path().read_bytes()[:4] == b"MThd"
    name = re.search("s=([0-9a-f]{16})", page.url)[1]
    session = Session.load(tmp_path / name, None)
    assert session[2].design[2, 2:6].tolist() == [1] * 4
    assert int(session[2].locked.sum()) == 4 and torch.equal(
        session[1].design[:2], session[2].design[:2]
    )


def test_a_page_that_others_can_reach_needs_its_token(tmp_path, browser):
    token = "a-token-of-24-characters"
    app = application(tmp_path, address=Address(token=token))
    with listening(app) as address, contextlib.closing(browser.new_context()) as context:
        link = Address(token=token).url(int(address.rpartition(":")[2]))
        assert link == f"{address}/#token={token}"
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.goto(address)
        expect(page.locator("#refused")).to_contain_text("the token is missing or wrong")
        assert page.locator("body[data-ready]").count() == 0
        page.goto(link)  # in the same tab, where the page is already
        expect(page.locator("body[data-ready]")).to_be_attached()
        page.locator("#examples .face").first.click()
        expect(title(page)).to_have_text("Design 1")
        assert "token" not in page.url and "#s=" in page.url
        session = page.url

        complaints = []
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.reload()
        expect(title(page)).to_have_text("Design 1")
        page.keyboard.press("v")
        expect(page.locator("#results .card input")).to_have_count(8)
        page.keyboard.press("e")
        with page.expect_download() as download:
            page.get_by_role("button", name="Arrays (.npz)").click()
        assert np.load(download.value.path())["states"].shape == (1, 6, 5)
        assert complaints == []

        other = context.new_page()  # a tab of its own has to be told too
        other.goto(session)
        expect(other.locator("#refused")).to_be_visible()
        with other.expect_event("load"):  # the page loads itself again, told another token
            other.goto(f"{address}/#token=another-token-of-24-chars")
        expect(other.locator("#refused")).to_contain_text("missing or wrong")
        other.goto(link)
        expect(title(other)).to_have_text("Design 1")


def test_the_way_back_leads_to_the_session_before(tmp_path, visit):
    page = visit(application(tmp_path))
    page.locator("#examples .face").first.click()
    expect(title(page)).to_have_text("Design 1")
    page.get_by_role("button", name="Sessions").click()
    page.get_by_role("button", name="Start a new session").click()
    page.keyboard.press("Escape")
    expect(page.locator("#tree-facts")).to_have_text("0 designs")
    page.go_back()
    expect(title(page)).to_have_text("Design 1")


def test_what_gives_way_is_no_error_in_the_page(tmp_path, visit):
    """A wish and a drawing that another tab takes over: nothing is complained of."""
    page = visit(application(tmp_path, kernel=slow()))
    page.locator("#examples .face").first.click()
    with page.expect_request("**/wish"):
        page.locator("#aim").click()
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator("body[data-ready]")).to_be_attached()
    for tab, name in ((other, "variants"), (page, "variants"), (other, "walk")):
        with tab.expect_response(f"**/{name}"):  # taken on: the next one is the newer
            tab.locator(f"#{name}").click()
    expect(other.locator("#results-facts")).to_contain_text("8 by walk")
    expect(page.locator("#stop")).to_be_hidden()
