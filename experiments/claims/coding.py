"""The Kullback-Leibler divergence is the number of bits that coding with another distribution's code costs."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from itertools import combinations, permutations

import constriction
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import entropy
from scipy.stats import t as student
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from torch.distributions import Normal, kl_divergence

from experiments.claims.claim import Case, Claim, Found, Number, Numbers, plain
from experiments.claims.drawing import canvas
from experiments.claims.lab import Lab
from experiments.claims.models import encoded
from zoo.evaluation.measures.rate_distortion import code_lengths
from zoo.report.figures.style import MUTED, SMALL

MODEL, STEP, IMAGES, CLASSES = "PCA", 0.5, 1_000, 10  # the step is in standard deviations of each unit
BITS = "bits per image"
REACHED = "bits that the coder paid with the code of P, over the entropy, furthest from 1 of all classes"
WHOLE = "bits per symbol of Huffman's code above the entropy, largest of all classes and units"
PAID = "extra bits that the coder paid, over the divergence, furthest from 1 of all pairs of classes"
LEAST = "extra bits that the coder paid, smallest of all pairs of classes"
ONE_WAY = "divergence over that of the other direction, which is smaller on other images"
LEFT = "divergence that is left where the cross-entropy is smallest"
ONE_HOT = "cross-entropy less divergence, one-hot labels"
SOFT = "cross-entropy less divergence, labels of which a tenth is spread over all classes"
SPREAD = "entropy of the labels of which a tenth is spread over all classes"
SAME = "cross-entropy less divergence and less entropy of the labels, a tenth spread over all classes"
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
    own, codes = histograms(classes, sizes, 0.0), histograms(classes, sizes, 0.5)
    count = np.array([len(each) for each in classes])
    least = np.array([paid(each, p) for each, p in zip(classes, own, strict=True)]) / count
    entropies = np.array([entropy_of(p) for p in own])
    whole = [[huffman(unit) for unit in p] for p in own]
    above = [
        bits - entropy(unit, base=2)
        for p, each in zip(own, whole, strict=True)
        for unit, bits in zip(p, each, strict=True)
    ]
    pairs = list(permutations(range(CLASSES), 2))
    extra = np.array([paid(classes[a], codes[b]) / count[a] - least[a] for a, b in pairs])
    table = divergences(own, codes)
    divergence = np.array([table[pair] for pair in pairs])
    numbers = {
        REACHED: Number(furthest(least / entropies)),
        WHOLE: Number(float(max(above)), unit="bits"),
        PAID: Number(furthest(extra / divergence)),
        LEAST: Number(float(extra.min()), unit=BITS),
        "extra bits that the coder paid, mean of all pairs": Number(float(extra.mean()), unit=BITS),
        ONE_WAY: one_way(classes, sizes),
    }
    crossed, own_bits = code_lengths(z / scale, encoded(model, lab.test) / scale)
    numbers["entropy of the codes of all test images, units treated as independent"] = Number(
        float(own_bits.sum()), unit=BITS
    )
    numbers["extra bits of test images under the code of training images"] = Number(
        float((crossed - own_bits).sum()), unit=BITS
    )
    weights = np.linspace(0, 1, 21)
    curve = [mixed(own[1], codes[0], weight) for weight in weights]
    numbers[LEFT] = Number(sum(map(minimised, own[1])), unit=BITS)
    numbers |= labelled(z.numpy(), lab.train_labels.numpy())
    both = np.array([(table[pair], table[pair[::-1]]) for pair in combinations(range(CLASSES), 2)])
    lengths = {"Huffman's code": np.sum(whole, 1), "range coder": least}
    shown = {"extra": extra, "divergence": divergence, "both": both, "curve": (weights, curve)}
    return Found(numbers, shown | {"entropies": entropies, "lengths": lengths})


def furthest(ratios: Floats) -> float:
    """That of some ratios which is furthest from 1."""
    return float(ratios[abs(ratios - 1).argmax()])


def histograms(classes: list[Symbols], sizes: list[int], added: float) -> list[list[Floats]]:
    """The distributions of all units of the symbols (N, D) of each class."""
    return [[histogram(unit, size, added) for unit, size in zip(each.T, sizes, strict=True)] for each in classes]


def histogram(values: Symbols, size: int, added: float) -> Floats:
    """Frequencies of symbols 0 to size - 1, with `added` to each count so that none is impossible."""
    counts = np.bincount(values, minlength=size) + added
    found: Floats = counts / counts.sum()
    return found


def entropy_of(p: list[Floats]) -> float:
    """H(P) of independent units, in bits."""
    return float(sum(entropy(unit, base=2) for unit in p))


def huffman(p: Floats) -> float:
    """Mean length of Huffman's code, the shortest with a whole number of bits for each symbol."""
    nodes = [float(each) for each in p if each > 0]
    heapq.heapify(nodes)
    length = 0.0
    while len(nodes) > 1:  # each joining of the two rarest nodes adds a bit to all symbols below them
        joined = heapq.heappop(nodes) + heapq.heappop(nodes)
        length += joined
        heapq.heappush(nodes, joined)
    return length


def divergences(own: list[list[Floats]], codes: list[list[Floats]]) -> dict[tuple[int, int], float]:
    """KL(P || Q) of the distributions P and the codes Q of all pairs of classes."""
    return {(a, b): divergence_of(own[a], codes[b]) for a, b in permutations(range(len(own)), 2)}


def one_way(classes: list[Symbols], sizes: list[int]) -> Number:
    """How much the divergence of a pair of classes depends on the direction.

    Estimates always differ a little, so that the larger over the smaller is above 1 even where nothing differs. Half of
    the images decide which direction is the larger, and the other half measures the ratio. Its interval is that of the
    jackknife over classes, as pairs share classes. B. Efron, "The jackknife, the bootstrap and other resampling plans",
    1982.
    """
    halves = []
    for part in ([each[::2] for each in classes], [each[1::2] for each in classes]):
        table = divergences(histograms(part, sizes, 0.0), histograms(part, sizes, 0.5))
        halves.append({(a, b): np.log(table[a, b] / table[b, a]) for a, b in combinations(range(len(classes)), 2)})
    ratios = {
        pair: (np.exp(np.sign(halves[0][pair]) * halves[1][pair]) + np.exp(np.sign(halves[1][pair]) * halves[0][pair]))
        / 2
        for pair in halves[0]
    }
    n = len(classes)
    without = np.array([np.mean([ratio for pair, ratio in ratios.items() if k not in pair]) for k in range(n)])
    value = float(np.mean(list(ratios.values())))
    half = float(student.ppf(0.975, n - 1) * np.sqrt((n - 1) * without.var()))
    return Number(value, value - half, value + half)


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
    return entropy_of(p), divergence_of(p, mixture)


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
    less = {name: value - float(entropy(target, q, axis=1).mean()) for name, (target, value) in crossed.items()}
    own = float(entropy(soft, axis=1).mean())
    return {name: Number(value, unit="nats") for name, value in {**less, SPREAD: own, SAME: less[SOFT] - own}.items()}


def cases(numbers: Numbers) -> list[Case]:
    """Lengths of codes; the bits that are paid, never saved; one way and the other; what is minimised; labels."""
    equal = {
        "A good coder spends the entropy, to within 3 %": (REACHED, 0.97, 1.03),
        "With whole bits for each symbol, less than one bit is lost per symbol": (WHOLE, 0.0, 1.0),
        "The code of Q costs KL(P || Q) bits more, to within 3 %": (PAID, 0.97, 1.03),
        "The Q of the smallest cross-entropy is P": (LEFT, -1e-3, 1e-3),
        "With one-hot labels, cross-entropy and divergence are equal": (ONE_HOT, -1e-6, 1e-6),
        "With softened labels, they differ by the entropy of the labels": (SAME, -1e-6, 1e-6),
    }
    return [
        *(Case.of(part, name, numbers[name], above=low, below=high) for part, (name, low, high) in equal.items()),
        Case.of("The code of another class never costs less", LEAST, numbers[LEAST], above=0.0),
        Case.of("KL(P || Q) and KL(Q || P) differ", ONE_WAY, numbers[ONE_WAY], above=1.0),
    ]


def draw(found: Mapping[str, Found]) -> Figure:
    """Surprise, lengths of codes, two cities, bits paid, both ways, and a mixture that approaches P."""
    (one,) = found.values()
    boxes = [(0.6 + 3.2 * (k % 3), 0.2 + 3.1 * (k // 3), 2.4, 2.2) for k in range(6)]
    figure, (surprise, length, cities, coder, ways, curve) = canvas(
        found,
        "Coding images of one class with the code of another",
        "codes of PCA, rounded to steps of half a standard deviation, unit by unit; "
        "each class of images has its own distribution",
        boxes,
    )
    p = np.geomspace(1e-3, 1, 100)
    surprise.plot(p, -np.log2(p), color=MUTED)
    for name, each in EVENTS.items():
        surprise.plot(each, -np.log2(each), "o", ms=4)
        surprise.annotate(name, (each, -np.log2(each)), (-7, 2), textcoords="offset points", ha="right", size=SMALL)
    surprise.set(xscale="log", xlim=(1e-4, 2), xlabel="probability p", ylabel="bits", title="Surprise: -log2 p")
    ends = [one.shown["entropies"].min() - 1, one.shown["entropies"].max() + 1]
    length.plot(ends, ends, "--", lw=0.8, color=MUTED)
    for name, each in one.shown["lengths"].items():
        length.plot(one.shown["entropies"], each, "o", ms=3.5, label=name)
    length.set(
        xlabel="entropy of a class, bits per image",
        ylabel="bits per image",
        title="What a class costs (dashed: its entropy)",
    )
    length.legend(frameon=False, fontsize=SMALL)
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
        title="Images of class P with the code of class Q",
    )
    ways.set(xlabel="KL(P || Q), bits per image", ylabel="KL(Q || P)", title="Not symmetric: pairs of classes")
    weights, values = one.shown["curve"]
    bits, left = np.array(values).T
    curve.plot(weights, bits + left, label="cross-entropy")
    curve.plot(weights, left, label="divergence")
    curve.plot(weights, bits, "--", color=MUTED, label="entropy of P")
    curve.set(xlabel="share of P in Q", ylabel="bits per image", title="Both are smallest at Q = P", ylim=(0, None))
    curve.legend(frameon=False, fontsize=SMALL)
    return figure


CLAIM = Claim(
    title="The KL divergence is the number of extra bits for coding P with the code of Q",
    claim="""The surprise of an outcome of probability p is -log2 p bits. Entropy is the mean surprise. It is the least
        mean length of any code, and a code with whole bits comes within one bit per symbol of it. Coding outcomes of P
        with the best code for Q takes the cross-entropy: the entropy of P plus the Kullback-Leibler divergence. The
        divergence is never negative. It is no distance, as it is not symmetric. The Q that minimises the
        cross-entropy also minimises the divergence.""",
    why="""The entropy of P does not depend on Q, so cross-entropy and divergence differ by a constant. With one-hot
        labels this constant is 0: a classifier that is fitted to the cross-entropy minimises the divergence.""",
    equation="""
        H(P) = - sum p log2 p,   H(P, Q) = - sum p log2 q
        KL(P || Q) = H(P, Q) - H(P) = sum p log2 (p / q) >= 0""",
    done=f"""Codes of training images by PCA were rounded, and each unit was coded by itself: P, Q and their entropies
        and divergences are those of units treated as independent. For each ordered pair of classes, P is the
        distribution of up to {IMAGES:,} images of the first class, and Q that of the second, with half a count added to
        each symbol so that none is impossible. A range coder (constriction) coded the images of P by both and decoded
        them again. Huffman's code gives each symbol a whole number of bits. For the two directions of a pair, half of
        the images choose the larger direction, and the ratio is measured on the other half, with an interval over the
        {CLASSES} classes. Logits of Q were fitted to P by the gradient of the cross-entropy. A classifier of codes was
        scored on up to {2 * IMAGES:,} other training images against one-hot labels, and against labels of which a tenth
        is spread
        over all classes.""",
    fails="""Where Q gives 0 to something that P may show, the divergence is infinite and no code exists, hence the half
        counts. Units of PCA are uncorrelated, not independent: the sum of their entropies is above the entropy of whole
        codes, which a coder of units one by one cannot reach. With softened labels, cross-entropy and divergence differ
        by the entropy of the labels; what minimises one still minimises the other. Of densities, the divergence has the
        same meaning, but single surprises depend on the unit of measurement and may be negative.""",
    data=("mnist",),
    fits=fits,
    measure=measure,
    cases=cases,
    answers={
        "yyyyyyyy": """Yes: the extra bits that a coder pays are the divergence, for every pair of classes, and it is
            never negative and not symmetric. Cross-entropy and divergence are equal for one-hot labels, and otherwise
            differ by the entropy of P.""",
    },
    draw=draw,
)
