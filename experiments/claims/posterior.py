"""Variational inference against Monte Carlo: the true posterior of a VAE with two units, on a grid."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal, kl_divergence
from torch.nn import functional as F

from experiments.claims import statistics
from experiments.claims.claim import Case, Claim, Found, Number, Numbers
from experiments.claims.drawing import canvas, draw_dots, look
from experiments.claims.lab import Lab
from experiments.claims.samplers import LEAPS, Hamiltonian, log_joint, posterior_of
from zoo.model.autoencoder import Autoencoder
from zoo.model.likelihoods import GaussianLikelihood
from zoo.report.figures.style import SMALL
from zoo.types import HasPosterior

MODEL = "VAE"
IMAGES, SIDE = 100, 400  # test images, and points of a side of the grid; fewer in the reduced version
SHOWN, DRAWS = 4, 40  # draws of a Gaussian in a step of its fit; twenty times as many to judge it
STEPS, RATE = 150, 0.04
CHAINS, WARM, KEPT, WEIGHTS = 25, 40, 60, 500
THIN = CHAINS + 1  # of draws that are shown: one of each chain in turn, at each move
EPOCHS, BATCH, ENCODER_RATE = 4, 256, 1e-3  # of the encoder that is fitted further
REACH = 5.0  # of the grid, in standard deviations of the prior
WALL = 100.0  # nats lost at a distance of one standard deviation from the grid
SECOND = 0.01  # of the highest density: the least of another hill
NATS = "nats per image"
ENCODER, DIAGONAL, FULL = "the encoder's Gaussian", "the best diagonal Gaussian", "the best full Gaussian"
LONGER, LOCAL = "the encoder's Gaussian, fitted longer", "the diagonal Gaussian found from the encoder's"
WEIGHTED, CHAIN = f"{WEIGHTS} importance weights", "Hamiltonian chains"
WAYS = {  # and their names in the figure
    ENCODER: "encoder",
    LONGER: "encoder, fitted longer",
    DIAGONAL: "best diagonal Gaussian",
    FULL: "best full Gaussian",
    WEIGHTED: "importance weights",
    CHAIN: "Hamiltonian chains",
}
STYLES = {ENCODER: "--", DIAGONAL: "-.", FULL: "-", CHAIN: "."}
GAP = "nats below the log-likelihood"
MEAN = "distance of means, in stds of the true posterior"
CLOSED = f"gap that {WEIGHTS} importance weights leave, over that of the encoder's Gaussian"
SPREAD = "std over that of the true posterior"
AMORTISED = "nats that one encoder for all images loses against the best diagonal Gaussian of each"
STILL = "the same after more epochs of the encoder alone"
STUCK = "nats that the search from the encoder's Gaussian alone loses against the best diagonal one"
CORRELATED = "nats that the best diagonal Gaussian loses against the best full one"
EFFECTIVE = f"effective number of {WEIGHTS} importance weights"
SEVERAL = "share of posteriors with a second hill of a hundredth of the highest density or more"
ONE_HILL = "posteriors with one hill"
EVALUATIONS = "evaluations of the decoder per image"
COSTS = {  # those of a single start of the Gaussians, with gradients but for the importance weights
    ENCODER: 0,
    DIAGONAL: STEPS * DRAWS,
    FULL: STEPS * DRAWS,
    WEIGHTED: WEIGHTS,
    CHAIN: CHAINS * (WARM + KEPT) * (LEAPS + 1),
}


def fits(data: str) -> dict[str, list[str]]:
    """A VAE of two units, with pixel noise that leaves its posteriors wide enough to be drawn."""
    return {MODEL: ["variant=vae", "width=2", *{"mnist": ["likelihood.std=0.5"], "digits": []}[data]]}


class Grid:
    """The true posteriors of images (B, C, H, W) under a model, on the points of a square grid.

    Attributes:
        side: points of a side.
        p: (B, G), probabilities of the points, as doubles.
        log_likelihood: (B,), log p(x).
        mean: (B, 2).
        std: (B,), the root of the mean variance of both units.
        peak: (B, 2), the most probable point.
        hills: (B,), the number of points that no other one within a tenth exceeds, and that are high enough.
    """

    def __init__(self, model: Autoencoder, x: Tensor, side: int) -> None:
        assert isinstance(model.bottleneck, HasPosterior)
        self.side, edge = side, torch.linspace(-REACH, REACH, side)
        z = torch.cartesian_prod(edge, edge)
        nll = torch.cat([distances(model, part, x) for part in torch.split(z, 4096)], 1)
        log_joint_of = model.bottleneck.log_prior(z).double() - nll
        self.top = log_joint_of.amax(1)
        self.map = (log_joint_of - self.top[:, None]).float().view(len(x), 1, side, side)
        self.p = log_joint_of.softmax(1)
        self.log_likelihood = log_joint_of.logsumexp(1) + 2 * math.log(2 * REACH / (side - 1))
        points = z.double()
        self.mean = self.p @ points
        self.std = (self.p @ points.square() - self.mean.square()).mean(1).sqrt()
        self.peak = z[self.p.argmax(1)]
        near = round(0.1 * (side - 1) / (2 * REACH))
        highest = F.max_pool2d(self.map, 2 * near + 1, 1, near)
        self.hills = ((self.map == highest) & (self.map > math.log(SECOND))).flatten(1).sum(1)

    def log_joint(self, z: Tensor) -> Tensor:
        """log p(x, z) of codes (K, B, 2), less that of each image's peak, by cubic interpolation: (K, B).

        Outside of the grid it falls steeply, so that no chain stays there.
        """
        places = (z.flip(2) / REACH).transpose(0, 1)[:, :, None]
        found: Tensor = F.grid_sample(self.map, places, "bicubic", "border", align_corners=True)[:, 0, :, 0].T
        return found - WALL * (z.abs() - REACH).clamp(min=0).square().sum(2)


def distances(model: Autoencoder, z: Tensor, x: Tensor) -> Tensor:
    """-log p(x | z) of all pairs of codes (G, 2) and images (B, C, H, W): (B, G), in nats, as doubles."""
    assert isinstance(model.likelihood, GaussianLikelihood)
    raw, images, std = model.decoder(z).flatten(1).double(), x.flatten(1).double(), model.likelihood.std
    squares = raw.square().sum(1) - 2 * images @ raw.T + images.square().sum(1)[:, None]
    found: Tensor = squares / (2 * std**2) + images.shape[1] * math.log(std * math.sqrt(2 * math.pi))
    return found


def measure(lab: Lab) -> Found:
    """What each way to the posterior leaves out."""
    images, side, epochs = (IMAGES, SIDE, EPOCHS) if lab.full else (40, 120, 2)
    x = lab.test[:images]
    gaps: dict[str, list[NDArray[np.float64]]] = {}
    off: dict[str, list[NDArray[np.float64]]] = {}
    wide: dict[str, list[NDArray[np.float64]]] = {}
    others: dict[str, list[NDArray[np.float64]]] = {"hills": [], "effective": [], "wrong": []}
    shown: dict[str, Any] = {}
    for seed, model in enumerate(lab.models(MODEL)):
        grid = Grid(model, x, side)
        gaussians = gaussians_of(model, x, grid)
        gaussians[LONGER] = encoder_of(fitted_further(model, lab.train, epochs, seed), x)
        chains = hamiltonian(model, x, grid)
        bound, weighted, effective = importance(model, x)
        below = {name: grid.log_likelihood - elbo(model, x, q) for name, q in gaussians.items()}
        below[WEIGHTED] = grid.log_likelihood - bound
        moments = {name: (gaussians[name].mean, gaussians[name].variance) for name in WAYS if name in gaussians}
        moments |= {WEIGHTED: weighted, CHAIN: (chains.mean(0), chains.var(0))}
        for name, gap in below.items():
            gaps.setdefault(name, []).append(gap.numpy())
        for name, (mean, variance) in moments.items():
            off.setdefault(name, []).append(((mean - grid.mean).square().mean(1).sqrt() / grid.std).numpy())
            wide.setdefault(name, []).append((variance.mean(1).sqrt() / grid.std).numpy())
        others["hills"].append((grid.hills > 1).double().numpy())
        others["effective"].append(effective.numpy())
        some = chains[::THIN]
        exact = log_joint(model, x, some).double() - grid.top
        others["wrong"].append((grid.log_joint(some) - exact).abs().mean(0).numpy())
        shown = shown or {"grid": grid, "gaussians": gaussians, "chains": chains, "x": x}
    numbers = {f"{GAP}, {name}": statistics.mean(each, NATS) for name, each in gaps.items()}
    numbers |= {f"{MEAN}, {name}": statistics.mean(each) for name, each in off.items()}
    numbers |= {f"{SPREAD}, {name}": statistics.mean(each) for name, each in wide.items()}
    numbers[AMORTISED] = statistics.difference(gaps[ENCODER], gaps[DIAGONAL], NATS)
    numbers[STILL] = statistics.difference(gaps[LONGER], gaps[DIAGONAL], NATS)
    numbers[STUCK] = statistics.difference(gaps[LOCAL], gaps[DIAGONAL], NATS)
    numbers[CORRELATED] = statistics.difference(gaps[DIAGONAL], gaps[FULL], NATS)
    numbers[CLOSED] = statistics.ratio(gaps[WEIGHTED], gaps[ENCODER])
    numbers[EFFECTIVE] = statistics.mean(others["effective"])
    numbers[SEVERAL] = statistics.share(others["hills"])
    single = 1 - np.array(others["hills"])
    for name, each in off.items():
        numbers[f"{MEAN}, {name}, {ONE_HILL}"] = statistics.ratio(single * np.array(each), single)
    numbers["error of log-densities between points of the grid"] = statistics.mean(others["wrong"], NATS)
    numbers |= {f"{EVALUATIONS}, {name}": Number(float(cost)) for name, cost in COSTS.items()}
    return Found(numbers, shown)


def encoder_of(model: Autoencoder, x: Tensor) -> MultivariateNormal:
    """The Gaussian that the encoder gives for each image."""
    q = posterior_of(model, x)
    return MultivariateNormal(q.mean, scale_tril=q.stddev.diag_embed())


def gaussians_of(model: Autoencoder, x: Tensor, grid: Grid) -> dict[str, MultivariateNormal]:
    """The encoder's Gaussians, and the best ones of each image alone.

    Gradients of the ELBO lead to them from two starts, the encoder's Gaussian and one at the peak of the true
    posterior; the better one is kept.
    """
    own = encoder_of(model, x)
    peak = MultivariateNormal(grid.peak, scale_tril=own.scale_tril)
    found = {ENCODER: own}
    for name, full in ((DIAGONAL, False), (FULL, True)):
        first, second = (fitted(grid, start, full) for start in (own, peak))
        better = (elbo(model, x, second) > elbo(model, x, first))[:, None]
        found[name] = MultivariateNormal(
            torch.where(better, second.mean, first.mean),
            scale_tril=torch.where(better[:, :, None], second.scale_tril, first.scale_tril),
        )
        if not full:
            found[LOCAL] = first
    return found


@torch.enable_grad()
def fitted(grid: Grid, start: MultivariateNormal, full: bool) -> MultivariateNormal:
    """Gaussians of the largest ELBO, one for each image, with diagonal or with full covariances."""
    mean = start.mean.clone().requires_grad_()
    log_std = start.stddev.log().requires_grad_()
    corner = torch.zeros(len(mean), requires_grad=full)  # of the Cholesky factor, in units of the second std
    optimizer = torch.optim.Adam([mean, log_std, *([corner] if full else [])], RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, STEPS)

    def gaussian() -> MultivariateNormal:
        std = log_std.exp()
        below = torch.stack([torch.zeros_like(corner), corner * std[:, 1]], 1)
        factor = std.diag_embed() + torch.stack([torch.zeros_like(below), below], 1).flip(2)
        return MultivariateNormal(mean, scale_tril=factor, validate_args=False)

    for step in range(STEPS):
        optimizer.zero_grad()
        q = gaussian()
        own: Tensor = q.entropy()  # type: ignore[no-untyped-call]
        bound = (grid.log_joint(drawn(q, DRAWS, seed=step)).mean(0) + own).sum()
        torch.autograd.backward(-bound)
        optimizer.step()
        schedule.step()
    found = gaussian()
    return MultivariateNormal(found.mean.detach(), scale_tril=found.scale_tril.detach())


def drawn(q: MultivariateNormal, draws: int, seed: int) -> Tensor:
    """Draws of one Gaussian for each image: (K, B, 2)."""
    noise = torch.randn((draws, *q.mean.shape), generator=torch.Generator().manual_seed(seed))
    return q.mean + torch.einsum("bij,kbj->kbi", q.scale_tril, noise)


def elbo(model: Autoencoder, x: Tensor, q: MultivariateNormal) -> Tensor:
    """E_q[log p(x, z) - log q(z)] of one Gaussian for each image, from draws: (B,), in nats."""
    z = drawn(q, 20 * DRAWS, seed=0)
    found: Tensor = (log_joint(model, x, z) - q.log_prob(z)).double().mean(0)  # type: ignore[no-untyped-call]
    return found


@torch.enable_grad()
def fitted_further(model: Autoencoder, images: Tensor, epochs: int, seed: int) -> Autoencoder:
    """A copy of a model whose encoder was fitted for more epochs by the ELBO; the decoder stays."""
    found = copy.deepcopy(model)
    optimizer = torch.optim.Adam(found.encoder.parameters(), ENCODER_RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, epochs * len(images) // BATCH)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for index in torch.split(torch.randperm(len(images), generator=generator), BATCH):
            x = images[index]
            q = posterior_of(found, x)
            z = q.mean + q.stddev * torch.randn(q.mean.shape, generator=generator)
            loss = found.likelihood.nll(found.decoder(z), x).mean() + kl_divergence(q, Normal(0.0, 1.0)).sum(1).mean()
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
    return found


def importance(model: Autoencoder, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor], Tensor]:
    """What weighted draws of the encoder's Gaussian say.

    Returns:
        a bound on log p(x), (B,); mean and variance, (B, 2); the effective number of draws, 1 / sum of the squares of
        the weights, (B,).
    """
    q = encoder_of(model, x)
    z = drawn(q, WEIGHTS, seed=0)
    log_weights = (log_joint(model, x, z) - q.log_prob(z)).double()  # type: ignore[no-untyped-call]
    weights = log_weights.softmax(0)
    mean = torch.einsum("kb,kbd->bd", weights, z.double())
    variance = torch.einsum("kb,kbd->bd", weights, (z - mean).square())
    return log_weights.logsumexp(0) - math.log(WEIGHTS), (mean, variance), 1 / weights.square().sum(0)


def hamiltonian(model: Autoencoder, x: Tensor, grid: Grid) -> Tensor:
    """Draws of the true posteriors by Hamiltonian chains that start at draws of the encoder's Gaussian: (M, B, 2)."""
    q = posterior_of(model, x)
    sampler = Hamiltonian(q.stddev, seed=0)
    z = q.mean + q.stddev * torch.randn((CHAINS, *q.mean.shape), generator=sampler.generator)
    kept = []
    for move in range(WARM + KEPT):
        z = sampler.move(z, grid.log_joint, adapt=move < WARM)
        if move >= WARM:
            kept.append(z)
    return torch.cat(kept)


def cases(numbers: Numbers) -> list[Case]:
    """Bounds, means and widths of the ways that are claimed; beside them, what limits each."""
    width = f"{SPREAD}, {DIAGONAL}"
    gaps = {
        "The encoder's Gaussian loses less than a tenth of a nat": f"{GAP}, {ENCODER}",
        "The best diagonal Gaussian loses less than a tenth of a nat": f"{GAP}, {DIAGONAL}",
    }
    means = {
        f"The mean of {words} is within a fifth of a std of the true one": f"{MEAN}, {way}"
        for way, words in {
            ENCODER: ENCODER,
            DIAGONAL: DIAGONAL,
            WEIGHTED: "the weighted draws",
            CHAIN: "the Hamiltonian chains",
        }.items()
    }
    beside = {
        "The best full Gaussian loses less than a tenth of a nat": f"{GAP}, {FULL}",
        "One encoder for all images loses less than a tenth of a nat against the best of each": AMORTISED,
        "After more epochs of the encoder, it loses less than a tenth of a nat": STILL,
        "The search from the encoder's Gaussian alone loses less than a tenth of a nat": STUCK,
        "Independent units lose less than a tenth of a nat against the best full Gaussian": CORRELATED,
    }
    single = f"{MEAN}, {CHAIN}, {ONE_HILL}"
    return [
        *(Case.of(part, name, numbers[name], below=0.1) for part, name in gaps.items()),
        *(Case.of(part, name, numbers[name], below=0.2) for part, name in means.items()),
        Case.of(
            "The best diagonal Gaussian is as wide as the true posterior, to within a tenth",
            width,
            numbers[width],
            above=0.9,
            below=1.1,
        ),
        *(Case.of(part, name, numbers[name], beside=True, below=0.1) for part, name in beside.items()),
        Case.of(
            "Importance weights leave less than half of the encoder's gap",
            CLOSED,
            numbers[CLOSED],
            beside=True,
            below=0.5,
        ),
        Case.of(
            "Where the posterior has one hill, the mean of the chains is within a fifth of a std",
            single,
            numbers[single],
            beside=True,
            below=0.2,
        ),
    ]


def draw(found: Mapping[str, Found]) -> Figure:
    """True posteriors with their approximations, and how far each is off."""
    (one,) = found.values()
    cell, top = 1.9, 0.1
    boxes = [(0.5 + (cell + 0.5) * k, top, cell, cell) for k in range(SHOWN)]
    boxes += [(1.6 + 3.6 * k, top + cell + 0.75, 2.0, 1.8) for k in range(3)]
    figure, panels = canvas(
        found,
        "True posteriors of a VAE with two units, and approximations of them",
        "test images, from narrow to wide posteriors; ellipses: two standard deviations; bars: 95 % intervals",
        boxes,
        right=0.6,
    )
    for panel, place in zip(panels, spread_out(one), strict=False):
        draw_posterior(panel, one, int(place))
    panels[0].set_ylabel("z2")
    lines = [Line2D([], [], color=colour(way), label=WAYS[way], **dashes(way)) for way in STYLES]
    panels[SHOWN - 1].legend(
        handles=[Patch(color="rebeccapurple", alpha=0.7, label="true posterior"), *lines],
        loc="upper left",
        bbox_to_anchor=(1.0, 1.03),
        fontsize=SMALL,
        frameon=False,
    )
    for panel, (name, bound) in zip(panels[SHOWN:], {GAP: None, MEAN: None, SPREAD: 1.0}.items(), strict=True):
        draw_dots(
            panel,
            {word: one.numbers[f"{name}, {way}"] for way, word in WAYS.items() if f"{name}, {way}" in one.numbers},
            bound=bound,
        )
        panel.set(xlabel=name)
        panel.margins(x=0.12)
    return figure


def colour(way: str) -> Any:
    """The colour that a way to the posterior has among the dots."""
    return look(list(WAYS).index(way))["color"]


def dashes(way: str) -> dict[str, Any]:
    """Line, or dots, of a way to the posterior."""
    style = STYLES[way]
    return {"ls": "", "marker": style, "ms": 3} if style == "." else {"ls": style, "lw": 1.2}


def spread_out(one: Found) -> NDArray[np.int64]:
    """Images whose posteriors are spread from narrow to wide."""
    order = one.shown["grid"].std.argsort().numpy()
    found: NDArray[np.int64] = order[np.linspace(len(order) // 3, len(order) - 1, SHOWN).astype(int)]
    return found


def draw_posterior(panel: Axes, one: Found, place: int) -> None:
    """One image's posterior, Gaussians and chains, with the image in a corner."""
    grid, side = one.shown["grid"], one.shown["grid"].side
    p = grid.p[place].view(side, side).T.numpy()
    panel.imshow(p, origin="lower", extent=(-REACH, REACH, -REACH, REACH), cmap="Purples", interpolation="bilinear")
    angle = torch.linspace(0, 2 * math.pi, 100)
    circle = torch.stack([angle.cos(), angle.sin()], 1)
    rings = {
        way: q.mean[place] + 2 * circle @ q.scale_tril[place].T
        for way, q in one.shown["gaussians"].items()
        if way in STYLES
    }
    for way, ring in rings.items():
        panel.plot(*ring.T.numpy(), color=colour(way), **dashes(way))
    draws = one.shown["chains"][::THIN, place]
    panel.plot(*draws.T.numpy(), color=colour(CHAIN), alpha=0.8, **dashes(CHAIN) | {"ms": 1.8})
    seen = torch.cat([*rings.values(), likely(grid, place), draws])
    low, high = seen.amin(0), seen.amax(0)
    (x, y), reach = ((low + high) / 2).tolist(), 0.6 * float((high - low).max())
    panel.set(xlim=(x - reach, x + reach), ylim=(y - reach, y + reach), xlabel="z1")
    panel.locator_params(nbins=4)
    corner = panel.inset_axes((0.0, 0.76, 0.24, 0.24))
    corner.imshow(1 - one.shown["x"][place, 0].numpy(), cmap="gray")
    corner.set(xticks=[], yticks=[])
    for spine in corner.spines.values():
        spine.set_visible(False)


def likely(grid: Grid, place: int) -> Tensor:
    """The points of the grid where one image's posterior is above a tenth of its peak: (N, 2)."""
    p, edge = grid.p[place], torch.linspace(-REACH, REACH, grid.side)
    return torch.cartesian_prod(edge, edge)[p > 0.1 * p.max()]


CLAIM = Claim(
    title="Variational inference finds the posterior that Monte Carlo finds",
    claim="""The posterior p(z | x) has no closed form. Variational inference fits a Gaussian with independent units to
        it, by an encoder for all images or for each image alone, and comes close enough. Monte Carlo draws from the
        true one, or weighs draws of the encoder's Gaussian, and needs the decoder many times for each image.""",
    why="""With many pixels and little noise, an image leaves little doubt about its code, and a narrow posterior is
        nearly Gaussian, because the decoder is nearly linear over so short a distance. Here the noise is larger than
        usual, so that posteriors can be drawn, which makes it harder.""",
    equation="""
        log p(x) = ELBO(q) + KL(q || p(z | x)),  log p(x) = log integral of p(x | z) p(z) dz, here a sum over a grid
        Hamiltonian: z' = v, v' = gradient of log p(x, z), accepted by Metropolis' rule""",
    done=f"""The posteriors of {IMAGES} test images under VAEs of two units, with pixel noise of 0.5 on MNIST, were
        computed on a grid of {SIDE} by {SIDE} points. Compared with them were: the encoder's Gaussian; the same after
        {EPOCHS} more epochs of the encoder alone, the decoder unchanged; the diagonal and the full Gaussian of the
        largest ELBO for each image, the better of two searches by gradients, one that starts at the encoder's Gaussian
        and one at the peak of the true posterior; {WEIGHTS} weighted draws of the encoder's Gaussian; and {CHAINS}
        Hamiltonian chains of {KEPT} moves after {WARM} that are not kept, which start at draws of the encoder's
        Gaussian. Searches and chains took log-densities from the grid, by interpolation; bounds were computed with the
        decoder. Evaluations of the decoder are counted as if there were no grid, for one start of a search.""",
    fails="""One network for all images gives a worse Gaussian than each image's own best one, and more epochs of the
        encoder leave most of that loss. A diagonal Gaussian is worse than a full one, which can be oblique. A search
        that starts at the encoder's Gaussian can end at a worse one than a search from the peak does. Only the encoder
        is quick: a search for one image used the decoder more often than the weighted draws did. Only part of the
        weighted draws has noticeable weight; where the encoder's Gaussian misses the posterior, their weighted mean
        does, too. Some
        posteriors have a second hill, and chains may stay where they start, as in the last picture. All this is for
        codes of two units, for which a grid can be computed.""",
    data=("mnist",),
    fits=fits,
    measure=measure,
    cases=cases,
    answers={
        "n?nyn??": """The best diagonal Gaussian of each image has the mean of the true posterior; whether it is close
            enough and wide enough is undecided. The encoder's Gaussian is not close and has another mean, which
            weighing its draws mends only in part. Whether the chains find the mean is undecided, too.""",
    },
    draw=draw,
)
