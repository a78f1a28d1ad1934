"""The page in a headless Chromium: what a visitor does with a mouse, a finger or a keyboard."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium: apt-get install chromium"),
    pytest.mark.xdist_group("browser"),
]
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
COMMITTED = Path(__file__).parents[3] / "results" / "page" / "index.html"
TABS = ("explore", "words", "train", "compare", "claims")


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def visit(browser: sync_api.Browser, page_file: Path) -> Iterator[Callable[..., sync_api.Page]]:
    """Opens the page at a tab; in the end, nothing may have been said on the console."""
    said: list[str] = []
    contexts = []

    def opened(
        tab: str, viewport: dict[str, int] = DESK, scheme: str = "light", file: Path = page_file
    ) -> sync_api.Page:
        context = browser.new_context(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{file.as_uri()}#{tab}")
        page.wait_for_selector(f"#panel-{tab.partition('?')[0]}[data-ready]")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert said == []


PICTURES = "all => all.map((canvas) => canvas.toDataURL())"


def drawings(page: sync_api.Page) -> list[str]:
    """What each method draws."""
    return page.eval_on_selector_all(".result canvas", "all => all.map((canvas) => canvas.toDataURL())")


def errors(page: sync_api.Page) -> dict[str, str]:
    """What stands beside the drawing of each method."""
    names, texts = (page.locator(place).all_inner_texts() for place in (".card h2", ".result strong"))
    return dict(zip(names, texts, strict=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(visit, tab, viewport, scheme):
    page = visit(tab, viewport, scheme)
    found = axe.Axe().run(page).response["violations"]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(("viewport", "scheme"), [(DESK, "light"), (PHONE, "dark")], ids=["desk", "phone"])
@pytest.mark.parametrize("tab", [*TABS, "explore?data=fashion_mnist", "explore?data=faces_small"])
def test_axe_finds_nothing_on_the_committed_page(visit, tab, viewport, scheme):
    if not COMMITTED.exists():
        pytest.skip("the repository has no page yet")
    page = visit(tab, viewport, scheme, COMMITTED)
    assert [each["id"] for each in axe.Axe().run(page).response["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if tab.startswith("explore"):
        assert page.locator(".card").count() >= 8
        assert page.get_by_role("button", name="16 numbers").is_visible()


def test_pictures_have_names_before_anything_is_learned(browser, page_file):
    with browser.new_context() as context:
        context.add_init_script("window.Worker = class { postMessage() {} };")  # one that never answers
        page = context.new_page()
        page.goto(f"{page_file.as_uri()}#train")
        page.wait_for_selector("#panel-train[data-ready]")
        assert [each["id"] for each in axe.Axe().run(page).response["violations"]] == []


def test_a_drag_in_a_plane_has_its_method_draw_and_the_others_encode_its_drawing(visit):
    page = visit("explore")
    before = drawings(page)
    box = page.locator(".card:has-text('deep_ae') .hand").first.bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.6 * box["height"])
    page.mouse.up()
    shown = errors(page)
    assert shown.pop("deep_ae") == "draws"
    assert all(re.fullmatch(r"\d+\.\d", error) for error in shown.values())
    assert drawings(page)[0] != before[0]
    page.get_by_role("button", name="Reset").click()
    assert drawings(page) == before


def test_arrow_keys_move_a_code_and_a_screen_reader_is_told(visit):
    page = visit("explore")
    page.locator(".hand").nth(2).focus()
    page.keyboard.press("ArrowRight")
    once = drawings(page)[2]
    page.keyboard.press("Shift+ArrowRight")
    assert drawings(page)[2] != once
    page.wait_for_function("document.getElementById('said').textContent.startsWith('vae at')")


def test_noise_and_a_masked_square_change_what_is_encoded_but_not_what_errors_are_measured_against(visit):
    page = visit("explore")
    clean = errors(page)
    page.get_by_label("Noise").fill("0.5")
    assert errors(page) != clean
    page.get_by_label("Noise").fill("0")
    assert errors(page) == clean
    page.get_by_label("Masked square").fill("0.5")
    hidden = errors(page)
    assert hidden != clean
    page.reload()
    page.wait_for_selector("#panel-explore[data-ready]")
    assert errors(page) == hidden


def test_a_morph_ends_at_the_code_of_the_other_image(visit):
    page = visit("explore")
    start = drawings(page)
    page.get_by_label("Morph").fill("0.5")
    assert set(errors(page).values()) == {"between"}
    page.get_by_label("Morph").fill("1")
    assert drawings(page) != start


GROUNDS = ".plane canvas:first-child"


def test_a_decoded_map_shows_what_places_mean_and_the_link_keeps_it(visit):
    page = visit("explore")
    dots = page.eval_on_selector_all(GROUNDS, PICTURES)
    page.get_by_role("button", name="Decoded map").click()
    tiles = page.eval_on_selector_all(GROUNDS, PICTURES)
    assert all(a != b for a, b in zip(dots, tiles, strict=True))
    page.reload()
    page.wait_for_selector("#panel-explore[data-ready]")
    assert page.get_by_role("button", name="Decoded map").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Decoded map").click()
    assert page.eval_on_selector_all(GROUNDS, PICTURES) == dots


def test_one_class_is_shown_and_all_are_again(visit):
    page = visit("explore")
    every = page.eval_on_selector_all(GROUNDS, PICTURES)
    three = page.get_by_role("group", name="Show one class").get_by_role("button", name="3", exact=True)
    three.click()
    assert three.get_attribute("aria-pressed") == "true"
    assert page.eval_on_selector_all(GROUNDS, PICTURES) != every
    three.click()
    assert page.eval_on_selector_all(GROUNDS, PICTURES) == every


def test_a_drawn_digit_is_encoded(visit):
    page = visit("explore")
    page.get_by_role("button", name="Draw a digit").click()
    box = page.locator(".frame").bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 70, box["y"] + 150, steps=8)
    page.mouse.up()
    assert "Your drawing" in page.locator("figcaption").inner_text()
    assert all(float(error) > 0 for error in errors(page).values())


def test_more_numbers_are_bars_and_the_link_keeps_the_choice(visit):
    page = visit("explore")
    page.get_by_role("button", name="8 numbers").click()
    assert page.locator(".card h2").all_inner_texts() == ["pca", "denoising_ae"]
    assert "numbers=8" in page.url
    page.reload()
    page.wait_for_selector("#panel-explore[data-ready]")
    assert page.locator(".card h2").all_inner_texts() == ["pca", "denoising_ae"]


def test_on_a_phone_one_plane_is_shown_and_a_chip_chooses_another(visit):
    page = visit("explore", PHONE)
    assert page.locator(".plane:visible").count() == 1
    page.get_by_role("button", name="Show the plane of vae").click()
    assert page.locator(".card.chosen h2").inner_text() == "vae"
    assert page.locator(".plane:visible").bounding_box()["width"] > 200


def test_the_plane_of_a_sparse_code_is_that_of_the_two_strongest_units_of_the_image(visit):
    page = visit("explore")
    hand = page.get_by_label("topk: plane of the two strongest of 16 units")
    before = errors(page)
    hand.focus()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    assert errors(page)["topk"] == "draws"
    assert errors(page) != before
    code = page.wait_for_function("document.getElementById('said').textContent.match(/^topk at ([^;]+)/)?.[1]")
    assert all(float(number) > 0 for number in code.json_value().split(", "))


def words_shown(page: sync_api.Page) -> tuple[str, dict[str, list[str]]]:
    """The current word, and its neighbours by method."""
    names = page.locator(".near dt").all_inner_texts()
    near = [page.locator(f".near dd >> nth={i}").locator("button").all_inner_texts() for i in range(len(names))]
    return page.locator(".words .side h2").inner_text(), dict(zip(names, near, strict=True))


def test_a_word_is_found_by_its_name_and_its_neighbours_by_a_press(visit):
    page = visit("words")
    pictures = "all => all.map((canvas) => canvas.toDataURL())"
    before = page.eval_on_selector_all(".words .hand", pictures)
    page.get_by_label("Find a word").fill("return")
    word, near = words_shown(page)
    assert word == "return"
    assert [name.split()[0] for name in near] == ["skip_gram", "svd"]
    assert all(len(set(each)) == 6 and word not in each for each in near.values())
    after = page.eval_on_selector_all(".words .hand", pictures)
    assert all(old != new for old, new in zip(before, after, strict=True))
    assert "word=return" in page.url
    page.wait_for_function(
        "document.getElementById('said').textContent.startsWith('return. Nearest words by skip_gram')"
    )
    page.locator(".near button").first.press("Enter")
    assert words_shown(page)[0] == next(iter(near.values()))[0]
    page.reload()
    page.wait_for_selector("#panel-words[data-ready]")
    page.get_by_label("Find a word").fill("zyx")
    assert "“zyx” is not among the" in page.locator(".words .side").inner_text()


def test_a_word_under_the_mouse_is_shown_in_every_plane_and_a_click_keeps_it(visit):
    page = visit("words")
    chosen = words_shown(page)
    hand = page.locator(".words .hand").first
    box = hand.bounding_box()

    def found() -> str:
        for part in range(5, 95, 5):
            page.mouse.move(box["x"] + part / 100 * box["width"], box["y"] + box["height"] / 2)
            if words_shown(page)[0] != chosen[0]:
                break
        return words_shown(page)[0]

    word = found()
    assert word != chosen[0]
    page.mouse.move(1, 1)
    assert words_shown(page) == chosen
    assert found() == word
    page.mouse.down()
    page.mouse.up()
    page.mouse.move(1, 1)
    assert words_shown(page)[0] == word


def test_arrow_keys_go_from_word_to_word(visit):
    page = visit("words")
    start = words_shown(page)[0]
    page.locator(".words .hand").first.focus()
    seen = set()
    for key in ("ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown"):
        page.keyboard.press(key)
        seen.add(words_shown(page)[0])
    assert seen - {start}


def test_an_autoencoder_trained_in_the_browser_gets_better(visit):
    page = visit("train")
    page.wait_for_selector("[data-epoch='0']")

    def error() -> float:
        return float(re.search(r"error ([\d.]+) on test", page.locator(".progress").inner_text())[1])

    first = error()
    for epoch in (1, 2):
        page.get_by_role("button", name="One epoch").click()
        page.wait_for_selector(f"[data-epoch='{epoch}']")
    assert error() < 0.9 * first
    page.get_by_role("button", name="Start again").click()
    page.wait_for_selector("[data-epoch='0']")


def test_training_pauses_and_its_settings_act_at_once_or_start_again(visit):
    page = visit("train")
    page.wait_for_selector("[data-epoch='0']")
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_function("Number(document.getElementById('panel-train').dataset.epoch) >= 2")
    page.get_by_role("button", name="Pause").click()
    page.wait_for_function("document.getElementById('said').textContent.startsWith('paused')")
    page.wait_for_timeout(300)
    epoch = page.locator("#panel-train").get_attribute("data-epoch")
    page.wait_for_timeout(500)
    assert page.locator("#panel-train").get_attribute("data-epoch") == epoch
    page.get_by_label("β").fill("1")
    assert "beta=1" in page.url
    assert page.locator("#panel-train").get_attribute("data-epoch") == epoch, "it acts from the next step on"
    page.get_by_label("Numbers in the code").fill("4")
    page.wait_for_selector("[data-epoch='0']")
    page.get_by_label("Activation").select_option("identity")
    assert "activation=identity" in page.url
    page.reload()
    page.wait_for_selector("[data-epoch='0']")
    assert page.get_by_label("Numbers in the code").input_value() == "4"
    assert page.get_by_label("Activation").input_value() == "identity"


def test_families_columns_and_scales_are_chosen_and_kept_in_the_link(visit):
    page = visit("compare")
    page.get_by_role("group", name="Families").get_by_role("button", name="linear").click()
    rows = page.locator("tbody th")
    assert rows.count() == 5
    page.get_by_text("Columns").click()
    page.get_by_role("checkbox", name="psnr").uncheck()
    headings = page.locator("thead th").all_inner_texts()
    assert not any("psnr" in text for text in headings)
    places = page.eval_on_selector_all(".plot .dot", "all => all.map((dot) => dot.getAttribute('cy'))")
    page.get_by_role("checkbox", name="log").first.click()
    assert "logy=1" in page.url
    assert page.eval_on_selector_all(".plot .dot", "all => all.map((dot) => dot.getAttribute('cy'))") != places
    page.get_by_label("Across").select_option("ssim")
    assert "ssim" in page.locator(".plot .label").first.text_content()
    shown = page.locator("tbody").inner_text()
    page.reload()
    page.wait_for_selector("#panel-compare[data-ready]")
    assert page.locator("tbody").inner_text() == shown
    assert page.locator("thead th").all_inner_texts() == headings
    assert "ssim" in page.locator(".plot .label").first.text_content()


def test_a_table_sorts_filters_and_opens_rows_and_its_link_keeps_all(visit):
    page = visit("compare")
    rows = page.locator("tbody th")
    assert rows.count() == 6
    page.get_by_role("button", name="method").click()
    assert [text.split()[0] for text in rows.all_inner_texts()] == ["aae", "deep_ae", "pca", "topk", "vae", "vq_vae"]
    page.get_by_label("Name").fill("ae")
    assert rows.count() == 4
    page.locator("tbody tr", has_text="deep_ae").click()
    assert "no prior, so there are no samples" in page.locator("#panel-compare").inner_text()
    command = page.locator(".command code").inner_text()
    assert command.startswith("zoo run variant=deep_ae data=digits width=2 seed=0")
    assert page.locator(".strip img").count() >= 2
    assert page.locator(".curve polyline").count() == 2
    record = json.loads(page.locator("details:has-text('Record') pre").text_content())
    assert record["variant"] == "deep_ae"
    page.reload()
    page.wait_for_selector("#panel-compare[data-ready]")
    assert page.locator(".command code").inner_text() == command
    assert page.locator("tbody th").count() == 4


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_every_study_shows_numbers_beside_its_names(visit, viewport):
    page = visit("compare", viewport, file=COMMITTED)
    choice = page.get_by_label("Study")
    for study in choice.locator("option").evaluate_all("all => all.map((option) => option.value)"):
        choice.select_option(study)
        share = "document.querySelector('tbody th').offsetWidth / document.querySelector('.scroller').clientWidth"
        assert page.evaluate(share) < 0.5, study


def test_a_brush_in_the_plot_filters_the_table(visit):
    page = visit("compare")
    box = page.locator(".plot").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + box["height"] - 45, steps=4)
    page.mouse.up()
    left = page.locator("tbody th").all_inner_texts()
    assert 0 < len(left) < 6
    page.reload()
    page.wait_for_selector("#panel-compare[data-ready]")
    assert page.locator("tbody th").all_inner_texts() == left
    page.get_by_role("button", name="Clear the selection").click()
    assert page.locator("tbody th").count() == 6


def test_a_range_is_typed_where_there_is_no_mouse(visit):
    page = visit("compare?x=macs&y=sse&columns=sse", PHONE)
    page.get_by_text("Show a range only").click()
    most = page.get_by_role("spinbutton", name="to").first
    errors = sorted(float(text.split()[0]) for text in page.locator("tbody td").all_inner_texts())
    most.fill(str((errors[2] + errors[3]) / 2))
    page.keyboard.press("Enter")
    assert page.locator("tbody th").count() == 3
    assert page.locator(".plot .brush").bounding_box()["width"] > 200  # open at both sides
    most.fill("")
    page.keyboard.press("Enter")
    assert page.locator("tbody th").count() == 6


def test_tabs_are_chosen_by_arrow_keys(visit):
    page = visit("explore")
    page.get_by_role("tab", name="Explore").focus()
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("tab", name="Words").get_attribute("aria-selected") == "true"
    assert page.url.endswith("#words")


def test_a_claim_shows_its_verdict_its_figure_and_what_decides_it(visit):
    page = visit("claims")
    article = page.locator("article.claim")
    assert "holds in part" in article.locator("h2").inner_text()
    assert article.locator("img").evaluate("image => image.naturalWidth") == 300
    assert "Only for b." in article.inner_text()
    part, beside = (each.inner_text() for each in article.locator(".cases").all())
    assert "a ratio: 1.25 (1.13 to 1.5) nats" in part
    assert "It is so for c" in beside


@pytest.mark.parametrize(
    ("name", "tab", "shown"),
    [
        ("Denoise an image yourself", "explore", "#panel-explore .card"),
        ("Find the garbage between clusters", "explore", "[aria-pressed=true]:has-text('Decoded map')"),
        ("Move β", "train", "output:has-text('1 (VAE)')"),
        ("Train without an activation", "train", "option[value=identity]:checked"),
    ],
)
def test_experiments_of_claims_open_as_they_are_described(visit, name, tab, shown):
    page = visit("claims")
    page.get_by_role("link", name=name).click()
    page.wait_for_selector(f"#panel-{tab}[data-ready]")
    assert page.locator(shown).count() > 0
