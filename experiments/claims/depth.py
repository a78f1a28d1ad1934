"""An activation, depth and convolution: what each adds to a linear bottleneck."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from experiments.claims import statistics
from experiments.claims.claim import Case, Claim, Found, Numbers
from experiments.claims.drawing import canvas, draw_dots, draw_rows, log_scale, rows_box
from experiments.claims.lab import Lab
from experiments.claims.models import arithmetic, errors, reconstructed, size

LESS = 0.95  # of an error: smaller counts as an improvement
SHOWN = 10
LINEAR, WIDER = "PCA", "PCA of a wider code"
ON_CODE, NO_ACTIVATION = "activation on the code alone", "two hidden layers without activation"
ONE, TWO = "one hidden layer", "two hidden layers"
CONV, LONGER = "convolutions", "one hidden layer, fitted longer"


def fits(data: str) -> dict[str, list[str]]:
    """From PCA to convolutions. The convolutional network is as large as that of one hidden layer.

    The latter is also fitted for so many epochs that all steps together take no less arithmetic.
    """
    hidden, wide, filters, longer = {
        "sprites_small": (64, 32, "[6,12]", 18),
        "mnist": (128, 128, "[8,16]", 7),
    }[data]
    one = f"hidden=[{hidden}]"
    return {
        LINEAR: ["variant=pca"],
        WIDER: ["variant=pca", f"width={wide}"],
        ON_CODE: ["variant=shallow_ae"],
        NO_ACTIVATION: ["variant=deep_ae", f"hidden=[{hidden},{hidden // 2}]", "network.activation=identity"],
        ONE: ["variant=deep_ae", one],
        TWO: ["variant=deep_ae", f"hidden=[{hidden},{hidden // 2}]"],
        CONV: ["variant=conv_ae", f"network.filters={filters}", f"network.hidden=[{hidden}]"],
        LONGER: ["variant=deep_ae", one, f"budget.epochs={longer}"],
    }


def measure(lab: Lab) -> Found:
    """Test errors, sizes and arithmetic."""
    models = {name: lab.models(name) for name in lab.jobs}
    lost = {name: [errors(model, lab.test) for model in each] for name, each in models.items()}
    numbers = {f"error, {name}": statistics.mean(each, "per pixel") for name, each in lost.items()}
    for name, other in COMPARED.values():
        numbers[f"error of {name} over that of {other}"] = statistics.ratio(lost[name], lost[other])
    for name, (model, *_) in models.items():
        numbers[f"parameters, {name}"] = statistics.over_seeds(size(model))
        epochs = lab.jobs[name][0].axes["fit"].get("epochs")
        if epochs is not None:
            total = 3 * epochs * len(lab.train) * arithmetic(model, lab.test)
            numbers[f"multiply-accumulates of the fit, {name}"] = statistics.over_seeds(total)
    x = lab.test[:SHOWN]
    return Found(numbers, {"rows": {"test images": x} | {name: reconstructed(m[0], x) for name, m in models.items()}})


COMPARED = {  # condition: what should have the smaller error, and what the larger one
    "for an activation on the code alone": (ON_CODE, LINEAR),
    "for hidden layers without activation": (NO_ACTIVATION, LINEAR),
    "for a hidden layer with an activation": (ONE, LINEAR),
    "for a second hidden layer": (TWO, ONE),
    "for convolutions at equal parameters": (CONV, ONE),
    "for convolutions at equal arithmetic": (CONV, LONGER),
    "for a hidden layer against a wider linear code of no more parameters": (ONE, WIDER),
}


def cases(numbers: Numbers) -> list[Case]:
    """What is added lowers the error by more than a twentieth."""
    names = {when: f"error of {name} over that of {other}" for when, (name, other) in COMPARED.items()}
    return [Case.of(when, name, numbers[name], below=LESS) for when, name in names.items()]


def draw(found: Mapping[str, Found]) -> Figure:
    """Reconstructions beside errors."""
    high = 9 * 0.42
    figure, panels = canvas(
        "What an activation, depth and convolution add, at equal width of the code",
        "reconstructions of test images, and mean squared error per pixel over all of them; bars: 95 % intervals",
        [
            box
            for k in range(len(found))
            for box in (rows_box(2.4, 0.1 + k * 5, SHOWN, 9, 0.42), (2.7 + SHOWN * 0.42, 0.1 + k * 5, 3.0, high))
        ],
    )
    for k, one in enumerate(found.values()):
        pictures, dots = panels[2 * k : 2 * k + 2]
        draw_rows(pictures, one.shown["rows"])
        rows = {name: one.numbers[f"error, {name}"] for name in one.shown["rows"] if f"error, {name}" in one.numbers}
        draw_dots(dots, rows)
        log_scale(dots)
        dots.set(xlabel="mean squared error per pixel (log scale)")
        dots.set_ylim(len(rows) - 0.5, -1.5)  # level with the rows of images
        dots.set_yticklabels([])
    return figure


CLAIM = Claim(
    title="Activation, depth and convolution each lower the error",
    claim="""A nonlinear activation, more layers and convolutions each let a code of the same width hold more of an
        image.""",
    why="""Images lie near a curved surface, which a plane through the mean fits badly. Layers with activations bend the
        plane, and convolutions use that a stroke looks the same everywhere, which spares parameters.""",
    equation="""
        x_hat = V f(W x): one activation, on the code; the reconstruction still lies in a plane of D dimensions
        x_hat = V2 f(V1 z), z = W2 f(W1 x): a hidden layer on each side, the reconstruction lies on a curved surface
        V2 V1 W2 W1 x is again one matrix: depth without activation stays linear""",
    done="""Networks were fitted to the same images with a code of the same width. The convolutional network has about
        as many parameters as the dense network of one hidden layer. The latter was also fitted for more epochs, until
        its fit takes as much arithmetic (multiply-accumulates of all steps, three times those of a forward pass) as
        that of the convolutional one. And PCA was given as many parameters as the dense network of one hidden layer,
        which makes its code wider.""",
    fails="""An activation on the code alone does not lower the error, for the decoder is still linear, and neither does
        depth without activations. The comparison is at equal width of the code: with the same parameters spent on a
        wider code, PCA has a smaller error than any network here. With few images, or few steps, large networks may
        lose their advantage.""",
    data=("mnist",),
    reduced="sprites_small",
    fits=fits,
    measure=measure,
    cases=cases,
    draw=draw,
)
