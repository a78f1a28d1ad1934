"""Write docs/methods.md from the option files of the variants: `python -m experiments.methods`."""

from pathlib import Path

from zoo.catalogue import variants

PAGE = Path(__file__).parents[1] / "docs" / "methods.md"
HEAD = """# Methods

x is an image, x_hat its reconstruction, h the encoder's output, z the code, D its width, f an encoder and g a decoder.
sigma is 0.2 of the pixel range. Written by `python -m experiments.methods` from the files in `conf/variant/`; how each
method does is in `results/`.
"""


def page() -> str:
    """The page: one table, and one paragraph for each method."""
    found = variants()
    rows = [f"| [`{v.name}`](#{v.name}) | {v.family} | {v.method} | {v.source} |" for v in found]
    table = ["| variant | family | method | source |", "| --- | --- | --- | --- |", *rows]
    paragraphs = [
        f"## {v.name}\n\n{v.method}{f' ({v.source})' if v.source else ''}.\n\n    {v.equation}\n\n"
        f"Limitations: {v.limitations}\n\nDiffers from the source: {v.differs}\n"
        for v in found
    ]
    return "\n".join([HEAD, *table, "", *paragraphs])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
