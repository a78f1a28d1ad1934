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
LINEAR, WIDER = "PCA", "PCA with a wider code"
ON_CODE, NO_ACTIVATION = "activation on the code alone", "two hidden layers without activation"
ONE, TWO = "one hidden layer", "two hidden layers"
LARGER = "one larger hidden layer"
CONV, LONGER = "convolutions", "one hidden layer, fitted longer"


def fits(data: str) -> dict[str, list[str]]:
    """From PCA to convolutions. The convolutional network is as large as that of one hidden layer.

    The latter is also fitted for so many epochs that all steps together take no less arithmetic. And it is fitted with
    a larger layer, which takes no fewer parameters and no less arithmetic than two hidden layers.
    """
    hidden, larger, wide, filters, longer = {
        "sprites_small": (64, 72, 32, "[6,12]", 18),
        "mnist": (128, 138, 128, "[8,16]", 7),
    }[data]
    one = f"hidden=[{hidden}]"
    return {
        LINEAR: ["variant=pca"],
        ON_CODE: ["variant=shallow_ae"],
        NO_ACTIVATION: ["variant=deep_ae", f"hidden=[{hidden},{hidden // 2}]", "network.activation=identity"],
        ONE: ["variant=deep_ae", one],
        LARGER: ["variant=deep_ae", f"hidden=[{larger}]"],
        TWO: ["variant=deep_ae", f"hidden=[{hidden},{hidden // 2}]"],
        CONV: ["variant=conv_ae", f"network.filters={filters}", f"network.hidden=[{hidden}]"],
        LONGER: ["variant=deep_ae", one, f"budget.epochs={longer}"],
        WIDER: ["variant=pca", f"width={wide}"],
    }


def measure(lab: Lab) -> Found:
    """Test errors, sizes and arithmetic."""
    models = {name: lab.models(name) for name in lab.jobs}
    lost = {name: [errors(model, lab.test) for model in each] for name, each in models.items()}
    numbers = {f"error, {name}": statistics.mean(each, "per pixel") for name, each in lost.items()}
    for name, other in (COMPARED | BESIDE).values():
        numbers[f"error of {name} over that of {other}"] = statistics.ratio(lost[name], lost[other])
    for name, (model, *_) in models.items():
        numbers[f"parameters, {name}"] = statistics.over_seeds(size(model))
        epochs = lab.jobs[name][0].axes["fit"].get("epochs")
        if epochs is not None:
            total = 3 * epochs * len(lab.train) * arithmetic(model, lab.test)
            numbers[f"multiply-accumulates of the fit, {name}"] = statistics.over_seeds(total)
    x = lab.test[:SHOWN]
    return Found(numbers, {"rows": {"test images": x} | {name: reconstructed(m[0], x) for name, m in models.items()}})


COMPARED = {  # statement: what should have the smaller error, and what the larger one
    "An activation on the code alone lowers the error of PCA": (ON_CODE, LINEAR),
    "Hidden layers without activation lower the error of PCA": (NO_ACTIVATION, LINEAR),
    "A hidden layer with an activation lowers the error of PCA": (ONE, LINEAR),
    "A second hidden layer lowers the error at no more parameters and arithmetic": (TWO, LARGER),
    "Convolutions lower the error of one hidden layer at about as many parameters": (CONV, ONE),
    "Convolutions lower the error at no more arithmetic of the fit": (CONV, LONGER),
}
BESIDE = {
    "Two hidden layers have a lower error than one that is fitted longer": (TWO, LONGER),
    "One hidden layer has a lower error than a wider linear code with no more parameters": (ONE, WIDER),
}


def cases(numbers: Numbers) -> list[Case]:
    """What is added lowers the error by more than a twentieth."""
    names = {part: f"error of {one} over that of {other}" for part, (one, other) in (COMPARED | BESIDE).items()}
    return [Case.of(part, name, numbers[name], below=LESS, beside=part in BESIDE) for part, name in names.items()]


def draw(found: Mapping[str, Found]) -> Figure:
    """Reconstructions beside errors."""
    count = max(len(one.shown["rows"]) for one in found.values())
    high = count * 0.42
    figure, panels = canvas(
        found,
        "What an activation, depth and convolution add to PCA",
        "reconstructions of test images, and mean squared error per pixel over all of them, with 95 % intervals; "
        "all codes have the same width, but for the last row",
        [
            box
            for k in range(len(found))
            for box in (rows_box(2.4, 0.1 + k * 5, SHOWN, count, 0.42), (2.7 + SHOWN * 0.42, 0.1 + k * 5, 3.0, high))
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
        low, most = dots.get_xlim()
        dots.set_xlim(0.85 * low, 1.1 * most)  # room for the values
    return figure


CLAIM = Claim(
    title="Activation, depth and convolution each lower the error",
    claim="""A nonlinear activation, more layers and convolutions each let a code of the same width hold more of an
        image.""",
    why="""Images lie near a curved surface, which a plane through the mean fits badly. Layers with activations bend the
        plane, and convolutions reuse the same weights at every position, which saves parameters.""",
    equation="""
        x_hat = V f(W x): one activation, on the code; the reconstruction still lies in a plane of D dimensions
        x_hat = V2 f(V1 z), z = W2 f(W1 x): a hidden layer on each side, the reconstruction lies on a curved surface
        V2 V1 W2 W1 x is again one matrix: depth without activation stays linear""",
    done=f"""Networks were fitted to the same images with a code of the same width, and compared on all test images. An
        error counts as lower if it is lower by more than {1 - LESS:.0%}. The convolutional network has about as many
        parameters as the dense network of one hidden layer. The latter was also fitted for more epochs, until its fit
        takes at least as much arithmetic (multiply-accumulates of all steps, three times those of a forward pass) as
        that of the convolutional one. Two hidden layers are compared with a single one that is so large that it takes
        no fewer parameters and no less arithmetic. And PCA was given a wider code, with at most as many parameters as
        the dense network of one hidden layer.""",
    fails="""An activation on the code alone does not lower the error, for the decoder is still linear. Depth without
        activations does not lower it either, for the network is still linear. The claim is about codes of equal width:
        where the code may be wider instead, PCA with no more parameters has a smaller error than any network here.
        And a longer fit of one hidden layer, at about twice the arithmetic, comes close to what a second one gains.""",
    data=("mnist",),
    reduced="sprites_small",
    fits=fits,
    measure=measure,
    cases=cases,
    answers={
        "nnyyyy": """It holds for hidden layers with an activation and for convolutions; for a second layer and for
            convolutions also at equal parameters and arithmetic. An activation on the code alone, or layers without
            activation, do no better than PCA."""
    },
    draw=draw,
)
