"""The Kullback-Leibler divergence is the number of bits that coding with another distribution's code costs."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations

import constriction
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import entropy
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from torch.distributions import Normal, kl_divergence

from experiments.claims import statistics
from experiments.claims.claim import Case, Claim, Found, Number, Numbers, plain
from experiments.claims.drawing import canvas
from experiments.claims.lab import Lab
from experiments.claims.models import encoded
from zoo.evaluation.measures.rate_distortion import code_lengths
from zoo.report.figures.style import MUTED, SMALL

MODEL, STEP, IMAGES, CLASSES = "PCA", 0.5, 1_000, 10  # the step is in standard deviations of each unit
BITS = "bits per image"
PAID = "distance of the extra bits that the coder paid from the divergence, over the divergence"
LEAST = "extra bits that the coder paid, smallest of all pairs of classes"
ONE_WAY = "larger over smaller divergence of a pair of classes"
LEFT = "divergence that is left where the cross-entropy is smallest"
ONE_HOT = "cross-entropy less divergence, one-hot labels"
SOFT = "cross-entropy less divergence, labels of which a tenth is spread over all classes"
EVENTS = {"the sun rises": 0.999, "a coin shows heads": 1 / 2, "a die shows six": 1 / 6, "three sixes": 1 / 216}
CITIES = {"city P": Normal(169.0, 5.0), "city Q": Normal(178.0, 9.0)}  # heights in cm
Floats = NDArray[np.float64]
Symbols = NDArray[np.int32]


def fits(data: str) -> dict[str, list[str]]:
    """PCA, whose codes are independent enough to be coded unit by unit."""
    return {MODEL: ["variant=pca"]}


def measure(lab: Lab) -> Found:
    """Divergences between the codes of two classes, and the bits that an arithmetic coder pays."""
    (model,) = lab.models(MODEL)
    z = encoded(model, lab.train)
    scale = z.std(0) * STEP
    symbols = (z / scale).round().int()
    symbols -= symbols.amin(0)
    sizes = [int(size) + 1 for size in symbols.amax(0)]
    classes = [symbols[lab.train_labels == k][:IMAGES].numpy() for k in range(CLASSES)]
    own = [[histogram(unit, size, 0.0) for unit, size in zip(each.T, sizes, strict=True)] for each in classes]
    codes = [[histogram(unit, size, 0.5) for unit, size in zip(each.T, sizes, strict=True)] for each in classes]
    least = [paid(each, p) for each, p in zip(classes, own, strict=True)]
    pairs = list(permutations(range(CLASSES), 2))
    extra = np.array([(paid(classes[a], codes[b]) - least[a]) / len(classes[a]) for a, b in pairs])
    divergence = np.array([divergence_of(own[a], codes[b]) for a, b in pairs])
    table = dict(zip(pairs, divergence, strict=True))
    both = np.array([(table[a, b], table[b, a]) for a, b in pairs if a < b])
    numbers = {
        PAID: statistics.over_seeds(abs(extra / divergence - 1)),
        LEAST: Number(float(extra.min()), unit=BITS),
        "extra bits that the coder paid, mean of all pairs": statistics.over_seeds(extra, BITS),
        ONE_WAY: statistics.over_seeds(both.max(1) / both.min(1)),
    }
    crossed, own_bits = code_lengths(z / scale, encoded(model, lab.test) / scale)
    numbers["entropy of the codes of test images"] = Number(float(own_bits.sum()), unit=BITS)
    numbers["extra bits of test images under the code of training images"] = Number(
        float((crossed - own_bits).sum()), unit=BITS
    )
    weights = np.linspace(0, 1, 21)
    curve = [mixed(own[1], codes[0], weight) for weight in weights]
    numbers[LEFT] = Number(minimised(own[1][0]), unit="bits")
    numbers |= labelled(z.numpy(), lab.train_labels.numpy())
    return Found(numbers, {"extra": extra, "divergence": divergence, "both": both, "curve": (weights, curve)})


def histogram(values: Symbols, size: int, added: float) -> Floats:
    """Frequencies of symbols 0 to size - 1, with `added` to each count so that none is impossible."""
    counts = np.bincount(values, minlength=size) + added
    found: Floats = counts / counts.sum()
    return found


def divergence_of(p: list[Floats], q: list[Floats]) -> float:
    """KL(P || Q) of independent units, in bits."""
    return float(sum(entropy(a, b, base=2) for a, b in zip(p, q, strict=True)))


def paid(symbols: Symbols, code: list[Floats]) -> int:
    """Bits that a range coder needs for symbols (N, D) by the distribution of each unit; they are decoded to check."""
    encoder = constriction.stream.queue.RangeEncoder()
    models = [constriction.stream.model.Categorical(p, perfect=False) for p in code]
    for unit, model in zip(symbols.T, models, strict=True):
        encoder.encode(np.ascontiguousarray(unit), model)
    decoder = constriction.stream.queue.RangeDecoder(encoder.get_compressed())
    again = np.stack([decoder.decode(model, len(symbols)) for model in models], 1)
    assert (again == symbols).all(), "the decoder did not return what was coded"
    bits: int = encoder.num_bits()
    return bits


def mixed(p: list[Floats], q: list[Floats], weight: float) -> tuple[float, float]:
    """Entropy of P, and KL(P || w P + (1 - w) Q), in bits per image."""
    mixture = [weight * a + (1 - weight) * b for a, b in zip(p, q, strict=True)]
    return float(sum(entropy(a, base=2) for a in p)), divergence_of(p, mixture)


@torch.enable_grad()
def minimised(p: Floats) -> float:
    """KL(P || Q) of the Q = softmax(w) whose cross-entropy - sum p log q gradients made smallest, in bits."""
    w = torch.zeros(len(p), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([w], max_iter=200, line_search_fn="strong_wolfe")
    target = torch.from_numpy(p)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = -(target * w.log_softmax(0)).sum()
        torch.autograd.backward(loss)
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return float(entropy(p, w.detach().softmax(0).numpy(), base=2))


def labelled(z: Floats, labels: NDArray[np.int64]) -> dict[str, Number]:
    """Cross-entropy less divergence of a classifier of codes, for one-hot and for softened labels."""
    half = min(len(z) // 2, 2 * IMAGES)
    classifier = LogisticRegression(max_iter=1000).fit(z[:half], labels[:half])
    q = classifier.predict_proba(z[half : 2 * half])
    hard = np.eye(CLASSES)[labels[half : 2 * half]]
    soft = 0.9 * hard + 0.1 / CLASSES
    crossed = {ONE_HOT: (hard, log_loss(hard, q)), SOFT: (soft, float(-(soft * np.log(q)).sum(1).mean()))}
    return {
        name: Number(value - float(entropy(target, q, axis=1).mean()), unit="nats")
        for name, (target, value) in crossed.items()
    }


def cases(numbers: Numbers) -> list[Case]:
    """The bits that are paid; that they are never saved; one way and the other; what is minimised; labels."""
    return [
        Case.of("for the bits that an arithmetic coder pays", PAID, numbers[PAID], below=0.02),
        Case.of("for its sign: the code of another class is never shorter", LEAST, numbers[LEAST], above=0.0),
        Case.of("for it being no distance: KL(P || Q) and KL(Q || P) differ", ONE_WAY, numbers[ONE_WAY], above=1.02),
        Case.of("for finding Q = P by the smallest cross-entropy", LEFT, numbers[LEFT], below=1e-3),
        Case.of(
            "for its being equal to the cross-entropy with one-hot labels",
            ONE_HOT,
            Number(abs(numbers[ONE_HOT].value)),
            below=1e-6,
        ),
        Case.of("for its being equal to the cross-entropy with softened labels", SOFT, numbers[SOFT], below=0.01),
    ]


def draw(found: Mapping[str, Found]) -> Figure:
    """Surprise, two cities, bits paid, both ways, and a mixture that approaches P."""
    (one,) = found.values()
    boxes = [(0.6 + 3.2 * (k % 3), 0.2 + 3.1 * (k // 3), 2.4, 2.2) for k in range(5)]
    figure, (surprise, cities, coder, ways, curve) = canvas(
        "The divergence is the price of the wrong code",
        "codes of PCA, rounded to steps of half a standard deviation, of which each class has its own distribution",
        boxes,
    )
    p = np.geomspace(1e-3, 1, 100)
    surprise.plot(p, -np.log2(p), color=MUTED)
    for name, each in EVENTS.items():
        surprise.plot(each, -np.log2(each), "o", ms=4)
        surprise.annotate(name, (each, -np.log2(each)), (-7, 2), textcoords="offset points", ha="right", size=SMALL)
    surprise.set(xscale="log", xlim=(1e-4, 2), xlabel="probability p", ylabel="bits", title="Surprise: -log2 p")
    x = torch.linspace(145, 210, 200)
    for name, city in CITIES.items():
        cities.plot(x, city.log_prob(x).exp(), label=name)  # type: ignore[no-untyped-call]
    one_way, other = (float(kl_divergence(*pair)) / np.log(2) for pair in (CITIES.values(), [*CITIES.values()][::-1]))
    cities.set(xlabel="height in cm", ylabel="density", title="Two invented cities' heights")
    cities.text(
        0.98,
        0.62,
        f"KL(P || Q) = {plain(one_way)} bits\nKL(Q || P) = {plain(other)} bits",
        transform=cities.transAxes,
        ha="right",
        size=SMALL,
    )
    cities.legend(frameon=False, fontsize=SMALL)
    for panel, (a, b) in ((coder, (one.shown["divergence"], one.shown["extra"])), (ways, one.shown["both"].T)):
        top = 1.05 * max(a.max(), b.max())
        panel.plot([0, top], [0, top], "--", lw=0.8, color=MUTED)
        panel.plot(a, b, "o", ms=3, alpha=0.7)
    coder.set(
        xlabel="KL(P || Q), bits per image",
        ylabel="extra bits that the coder paid",
        title="Codes of class P, coded for class Q",
    )
    ways.set(xlabel="KL(P || Q), bits per image", ylabel="KL(Q || P)", title="Not symmetric: pairs of classes")
    weights, values = one.shown["curve"]
    bits, left = np.array(values).T
    curve.plot(weights, bits + left, label="cross-entropy")
    curve.plot(weights, left, label="divergence")
    curve.plot(weights, bits, "--", color=MUTED, label="entropy of P")
    curve.set(xlabel="share of P in Q", ylabel="bits per image", title="Smallest for the same Q", ylim=(0, None))
    curve.legend(frameon=False, fontsize=SMALL)
    return figure


CLAIM = Claim(
    title="The KL divergence is the number of extra bits for coding P with the code of Q",
    claim="""The surprise of an outcome of probability p is -log2 p bits; entropy is the mean surprise, and the length
        of the best code. Whoever codes outcomes of P with the best code of Q pays the cross-entropy, which is larger by
        the Kullback-Leibler divergence. It is never negative, it is no distance, as it is not symmetric, and the Q that
        minimises the one minimises the other.""",
    why="""The entropy of P does not depend on Q, so cross-entropy and divergence differ by a constant. With one-hot
        labels this constant is 0: a classifier that is fitted to the cross-entropy minimises the divergence.""",
    equation="""
        H(P) = - sum p log2 p,   H(P, Q) = - sum p log2 q
        KL(P || Q) = H(P, Q) - H(P) = sum p log2 (p / q) >= 0""",
    done="""Codes of training images by PCA were rounded, unit by unit. For each ordered pair of classes, P is the
        distribution of the codes of the first class and Q that of the second, with half a count added to each symbol so
        that none is impossible. A range coder (constriction) coded the images of P by both and decoded them again;
        intervals are over pairs. Logits of Q were fitted to P by the gradient of the cross-entropy. A classifier of
        codes was scored against one-hot labels, and against labels of which a tenth is spread over all classes.""",
    fails="""Where Q gives 0 to something that P may show, the divergence is infinite and no code exists, hence the half
        counts. A stream ends on a whole number of machine words, so that short messages cost more than their entropy.
        With softened labels, cross-entropy and divergence differ by the entropy of the labels; what minimises one still
        minimises the other. Of densities, the divergence has the same meaning, but single surprises depend on the unit
        of measurement and may be negative.""",
    data=("mnist",),
    fits=fits,
    measure=measure,
    cases=cases,
    draw=draw,
)
