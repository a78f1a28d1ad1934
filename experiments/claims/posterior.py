"""Variational inference against Monte Carlo: the true posterior of a VAE with two units, on a grid."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from torch.distributions import MultivariateNormal

from experiments.claims import statistics
from experiments.claims.claim import Case, Claim, Found, Numbers
from experiments.claims.drawing import canvas, draw_dots
from experiments.claims.lab import Lab
from experiments.claims.samplers import Hamiltonian, log_joint, posterior_of
from zoo.evaluation.measures.bounds import importance_bounds
from zoo.model.autoencoder import Autoencoder
from zoo.report.figures.style import INK
from zoo.types import DrawsCodes, HasPosterior

MODEL = "VAE"
SHOWN, DRAWS = 4, 40  # draws of a Gaussian in a step of its fit; twenty times as many to judge it
STEPS, RATE = 100, 0.04
CHAINS, WARM, KEPT, WEIGHTS = 25, 40, 60, 500
REACH = 5.0  # of the grid, in standard deviations of the prior
NATS = "nats per image"
ENCODER, DIAGONAL, FULL = "the encoder's Gaussian", "the best diagonal Gaussian", "the best full Gaussian"
WEIGHTED, CHAIN = f"{WEIGHTS} importance weights", "Hamiltonian chains"
GAP = "nats below the log-likelihood"
MEAN = "distance of means, in stds of the true posterior"
CLOSED = f"gap that {WEIGHTS} importance weights leave, over that of the encoder's Gaussian"
SPREAD = "std over that of the true posterior"
AMORTISED = "nats that one encoder for all images loses against the best diagonal Gaussian of each"
CORRELATED = "nats that the best diagonal Gaussian loses against the best full one"


def fits(data: str) -> dict[str, list[str]]:
    """A VAE of two units, with pixel noise that leaves its posteriors wide enough to be drawn."""
    return {MODEL: ["variant=vae", "width=2", *{"mnist": ["likelihood.std=0.5"], "digits": []}[data]]}


class Grid:
    """The true posteriors of images (B, C, H, W) under a model, on the points of a square grid.

    Attributes:
        z: (G, 2), the points.
        p: (B, G), their probabilities.
        log_likelihood: (B,), log p(x).
        mean: (B, 2).
        std: (B,), the root of the mean variance of both units.
    """

    def __init__(self, model: Autoencoder, x: Tensor, side: int) -> None:
        assert isinstance(model.bottleneck, HasPosterior)
        edge = torch.linspace(-REACH, REACH, side)
        self.z = torch.cartesian_prod(edge, edge)
        raws = map(model.decoder, torch.split(self.z, 4096))
        nll = torch.cat([torch.stack([model.likelihood.nll(raw, image[None]) for image in x]) for raw in raws], 1)
        log_joint_of = (model.bottleneck.log_prior(self.z) - nll).double()
        self.p = log_joint_of.softmax(1)
        self.log_likelihood = log_joint_of.logsumexp(1) + 2 * math.log(2 * REACH / (side - 1))
        points = self.z.double()
        self.mean = self.p @ points
        self.std = (self.p @ points.square() - self.mean.square()).mean(1).sqrt()


def measure(lab: Lab) -> Found:
    """What each way to the posterior leaves out."""
    images, side = (75, 400) if lab.full else (25, 120)
    x = lab.test[:images]
    gaps: dict[str, list[NDArray[np.float64]]] = {name: [] for name in (ENCODER, DIAGONAL, FULL, WEIGHTED)}
    off: dict[str, list[NDArray[np.float64]]] = {name: [] for name in (ENCODER, DIAGONAL, FULL, CHAIN)}
    wide: dict[str, list[NDArray[np.float64]]] = {name: [] for name in off}
    shown: dict[str, Any] = {}
    for model in lab.models(MODEL):
        grid = Grid(model, x, side)
        gaussians = gaussians_of(model, x)
        chains = hamiltonian(model, x)
        for name, q in gaussians.items():
            gaps[name].append((grid.log_likelihood - elbo(model, x, q, 20 * DRAWS)).numpy())
        assert isinstance(model.bottleneck, DrawsCodes)
        weighted = importance_bounds(model, model.bottleneck, x, WEIGHTS, seed=0).iwae
        gaps[WEIGHTED].append((grid.log_likelihood - weighted).numpy())
        moments = {name: (q.mean, q.variance) for name, q in gaussians.items()}
        moments[CHAIN] = chains.mean(0), chains.var(0)
        for name, (mean, variance) in moments.items():
            off[name].append(((mean - grid.mean).square().mean(1).sqrt() / grid.std).numpy())
            wide[name].append((variance.mean(1).sqrt() / grid.std).numpy())
        shown = shown or {"grid": grid, "gaussians": gaussians, "chains": chains, "side": side, "x": x}
    numbers = {f"{GAP}, {name}": statistics.mean(each, NATS) for name, each in gaps.items()}
    numbers |= {f"{MEAN}, {name}": statistics.mean(each) for name, each in off.items()}
    numbers |= {f"{SPREAD}, {name}": statistics.mean(each) for name, each in wide.items()}
    numbers[AMORTISED] = statistics.difference(gaps[ENCODER], gaps[DIAGONAL], NATS)
    numbers[CORRELATED] = statistics.difference(gaps[DIAGONAL], gaps[FULL], NATS)
    numbers[CLOSED] = statistics.ratio(gaps[WEIGHTED], gaps[ENCODER])
    return Found(numbers, shown)


def gaussians_of(model: Autoencoder, x: Tensor) -> dict[str, MultivariateNormal]:
    """The Gaussian that the encoder gives for each image, and those that gradients of the ELBO lead to from it."""
    q = posterior_of(model, x)
    own = MultivariateNormal(q.mean, scale_tril=q.stddev.diag_embed())
    return {ENCODER: own, DIAGONAL: fitted(model, x, own, full=False), FULL: fitted(model, x, own, full=True)}


@torch.enable_grad()
def fitted(model: Autoencoder, x: Tensor, start: MultivariateNormal, full: bool) -> MultivariateNormal:
    """Gaussians of the largest ELBO, one for each image, with diagonal or with full covariances."""
    mean = start.mean.clone().requires_grad_()
    log_std = start.stddev.log().requires_grad_()
    corner = torch.zeros(len(x), requires_grad=full)  # of the Cholesky factor, in units of the second std
    optimizer = torch.optim.Adam([mean, log_std, *([corner] if full else [])], RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, STEPS)

    def gaussian() -> MultivariateNormal:
        std = log_std.exp()
        below = torch.stack([torch.zeros_like(corner), corner * std[:, 1]], 1)
        factor = std.diag_embed() + torch.stack([torch.zeros_like(below), below], 1).flip(2)
        return MultivariateNormal(mean, scale_tril=factor, validate_args=False)

    for step in range(STEPS):
        optimizer.zero_grad()
        torch.autograd.backward(-elbo(model, x, gaussian(), DRAWS, seed=step).sum())
        optimizer.step()
        schedule.step()
    found = gaussian()
    return MultivariateNormal(found.mean.detach(), scale_tril=found.scale_tril.detach())


def elbo(model: Autoencoder, x: Tensor, q: MultivariateNormal, draws: int, seed: int = 0) -> Tensor:
    """E_q[log p(x, z) - log q(z)] of one Gaussian for each image, from draws: (B,), in nats."""
    noise = torch.randn((draws, *q.mean.shape), generator=torch.Generator().manual_seed(seed))
    z = q.mean + torch.einsum("bij,kbj->kbi", q.scale_tril, noise)
    found: Tensor = (log_joint(model, x, z) - q.log_prob(z)).mean(0)  # type: ignore[no-untyped-call]
    return found


def hamiltonian(model: Autoencoder, x: Tensor) -> Tensor:
    """Draws of the true posteriors by Hamiltonian chains that start at draws of the encoder's Gaussian: (M, B, 2)."""
    q = posterior_of(model, x)
    sampler = Hamiltonian(q.stddev, seed=0)
    z = q.mean + q.stddev * torch.randn((CHAINS, *q.mean.shape), generator=sampler.generator)
    kept = []
    for move in range(WARM + KEPT):
        z = sampler.move(z, lambda z: log_joint(model, x, z), adapt=move < WARM)
        if move >= WARM:
            kept.append(z)
    return torch.cat(kept)


def cases(numbers: Numbers) -> list[Case]:
    """Bounds within a tenth of a nat; means and spreads."""
    ways = (ENCODER, DIAGONAL, FULL)
    mean, spread = f"{MEAN}, {CHAIN}", f"{SPREAD}, {DIAGONAL}"
    return [
        *(
            Case.of(f"for {name}, within a tenth of a nat", f"{GAP}, {name}", numbers[f"{GAP}, {name}"], below=0.1)
            for name in ways
        ),
        Case.of("for one encoder for all images, within a tenth of a nat", AMORTISED, numbers[AMORTISED], below=0.1),
        Case.of("for units taken as independent, within a tenth of a nat", CORRELATED, numbers[CORRELATED], below=0.1),
        Case.of(
            "for importance weights, which leave less than half of the encoder's gap",
            CLOSED,
            numbers[CLOSED],
            below=0.5,
        ),
        Case.of("for the mean by Hamiltonian chains, within a fifth of a std", mean, numbers[mean], below=0.2),
        Case.of("for the width of the best diagonal Gaussian, within a tenth", spread, numbers[spread], above=0.9),
    ]


def draw(found: Mapping[str, Found]) -> Figure:
    """True posteriors with what stands for them, and how far each is off."""
    (one,) = found.values()
    cell, top = 2.0, 0.1
    boxes = [(0.1 + (cell + 0.25) * k, top, cell, cell) for k in range(SHOWN)]
    boxes += [(1.6, top + cell + 0.5, 2.6, 1.5), (6.0, top + cell + 0.5, 2.6, 1.5)]
    figure, panels = canvas(
        "The true posterior of a VAE with two units, and what stands for it",
        "test images; shaded: the true posterior; dashed: the encoder's Gaussian, solid: the best full one, two stds; "
        "dots: Hamiltonian chains",
        boxes,
    )
    for panel, place in zip(panels, hardest(one), strict=False):
        draw_posterior(panel, one, int(place))
    for panel, name in zip(panels[SHOWN:], (GAP, MEAN), strict=True):
        draw_dots(
            panel,
            {k.partition(", the ")[2] or k.split(", ")[-1]: v for k, v in one.numbers.items() if k.startswith(name)},
            bound=0.0,
        )
        panel.set(xlabel=name)
    return figure


def hardest(one: Found) -> NDArray[np.int64]:
    """Images whose posteriors are spread from narrow to wide."""
    order = one.shown["grid"].std.argsort().numpy()
    found: NDArray[np.int64] = order[np.linspace(len(order) // 3, len(order) - 1, SHOWN).astype(int)]
    return found


def draw_posterior(panel: Axes, one: Found, place: int) -> None:
    """One image's posterior, Gaussians and chains, with the image in a corner."""
    grid, side = one.shown["grid"], one.shown["side"]
    p = grid.p[place].view(side, side).T.numpy()
    centre, reach = grid.mean[place].tolist(), 4.5 * float(grid.std[place])
    panel.imshow(p, origin="lower", extent=(-REACH, REACH, -REACH, REACH), cmap="Purples", interpolation="bilinear")
    circle = torch.linspace(0, 2 * math.pi, 100)
    for name, style in ((ENCODER, "--"), (FULL, "-")):
        q = one.shown["gaussians"][name]
        ring = q.mean[place] + 2 * torch.stack([circle.cos(), circle.sin()], 1) @ q.scale_tril[place].T
        panel.plot(*ring.T.numpy(), style, color=INK, lw=1.0)
    draws = one.shown["chains"][::25, place]
    panel.plot(*draws.T.numpy(), ".", ms=1.5, color="tab:orange", alpha=0.8)
    panel.set(xlim=(centre[0] - reach, centre[0] + reach), ylim=(centre[1] - reach, centre[1] + reach))
    panel.set(xticks=[], yticks=[], xlabel=f"window of {2 * reach:.2g} stds of the prior")
    corner = panel.inset_axes((0.0, 0.72, 0.28, 0.28))
    corner.imshow(1 - one.shown["x"][place, 0].numpy(), cmap="gray")
    corner.set(xticks=[], yticks=[])
    for spine in corner.spines.values():
        spine.set_visible(False)


CLAIM = Claim(
    title="Variational inference finds the posterior that Monte Carlo finds",
    claim="""The posterior p(z | x) has no closed form. Variational inference fits a Gaussian with independent units to
        it, which is fast, and close enough; Monte Carlo draws from the true one, or weighs draws of the Gaussian, which
        takes longer.""",
    why="""With many pixels and little noise, an image leaves little doubt about its code, and a narrow posterior is
        nearly Gaussian, because the decoder is nearly linear over so short a distance. Here the noise is larger than
        usual, so that posteriors can be drawn, which makes it harder.""",
    equation="""
        log p(x) = ELBO(q) + KL(q || p(z | x)),  log p(x) = log integral of p(x | z) p(z) dz, here a sum over a grid
        Hamiltonian: z' = v, v' = gradient of log p(x, z), accepted by Metropolis' rule""",
    done="""The posteriors of 75 test images under VAEs of two units, with pixel noise of 0.5 on MNIST, were computed on
        a grid of steps of 0.025. The encoder's Gaussian was compared with the diagonal and the full Gaussian that the
        gradient of the ELBO finds for each image alone, with importance weights of the encoder's Gaussian, and with
        Hamiltonian chains that start at draws of the encoder's Gaussian.""",
    fails="""One network for all images gives a worse Gaussian than each image's own best one. A diagonal Gaussian is
        too narrow where the true posterior is oblique, and any Gaussian fits one of several hills. Importance weights
        are worth little where the encoder's Gaussian lies beside the posterior, and chains stay in the hill in which
        they start.""",
    data=("mnist",),
    fits=fits,
    measure=measure,
    cases=cases,
    draw=draw,
)
