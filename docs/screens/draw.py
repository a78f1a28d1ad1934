"""Pictures of every tab of results/page/index.html: `python docs/screens/draw.py` writes them beside itself.

It needs a Chromium (`apt-get install chromium`) and the extra `dev`.
"""

import io
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, ViewportSize, sync_playwright

from zoo.files import write_atomically

PAGE, FOLDER = Path("results/page/index.html"), Path("docs/screens")
TABS = {  # what is shown of each tab
    "explore": "explore",
    "map": "explore?data=fashion_mnist&map=1",
    "repair": "explore?numbers=16",
    "words": "words",
    "train": "train",
    "compare": "compare?row=vae",
    "claims": "claims",
}
SIZES: dict[str, ViewportSize] = {"wide": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
BOTH = ("explore", "words", "train", "compare", "claims")  # in both sizes and colour schemes; the others wide and light
COLOURS, EXACT = 96, 24  # of a picture; of these, the most frequent ones, which stay as they are
NOISE = "document.querySelectorAll('.explore .slider input')[0]"


def main() -> None:
    """Write all pictures."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None or not PAGE.exists():
        sys.exit(f"error: {'no Chromium' if chromium is None else f'no {PAGE}'}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, place in TABS.items():
            for size in SIZES if name in BOTH else ("wide",):
                for scheme in ("light", "dark") if name in BOTH else ("light",):
                    path = FOLDER / f"{name}-{size}-{scheme}.webp"
                    write_atomically(
                        path, small(picture(browser, place, SIZES[size], scheme == "dark", name == "repair"))
                    )
                    print(path)
        browser.close()


def picture(browser: Browser, place: str, size: ViewportSize, dark: bool, noisy: bool) -> bytes:
    """A PNG of one tab, after some epochs of training."""
    page = browser.new_page(viewport=size, color_scheme="dark" if dark else "light")
    page.goto(f"{PAGE.resolve().as_uri()}#{place}")
    page.wait_for_selector(f"#panel-{place.partition('?')[0]}[data-ready]")
    if noisy:
        page.evaluate(f"{NOISE}.value = 0.5; {NOISE}.dispatchEvent(new Event('input'))")
    if place == "train":
        page.wait_for_function("document.querySelector('#panel-train').dataset.epoch >= 25", timeout=120_000)
    page.wait_for_timeout(500)
    png = page.screenshot()
    page.close()
    return png


def small(png: bytes) -> bytes:
    """A PNG as a WebP of few colours, which is a third smaller."""
    found = io.BytesIO()
    image = Image.open(io.BytesIO(png)).convert("RGB")
    few = image.quantize(COLOURS - EXACT, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).convert("RGB")
    pixels = np.asarray(image).astype(np.int32) @ (1 << 16, 1 << 8, 1)
    colours, counts = np.unique(pixels, return_counts=True)
    exact = np.isin(pixels, colours[counts.argsort()[-EXACT:]])
    few.paste(image, mask=Image.fromarray(exact))
    few.save(found, "WEBP", lossless=True, quality=100, method=6)
    return found.getvalue()


if __name__ == "__main__":
    main()
