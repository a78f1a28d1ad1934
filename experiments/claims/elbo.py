"""The KL divergence of Gaussians has a closed form, and the ELBO is a bound whose gap can be measured."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.figure import Figure
from torch.distributions import Normal, kl_divergence

from experiments.claims import statistics
from experiments.claims.claim import Case, Claim, Found, Numbers
from experiments.claims.drawing import canvas, draw_dots, draw_lines
from experiments.claims.lab import Lab
from experiments.claims.samplers import annealed_log_likelihood, posterior_of
from zoo.evaluation.measures.bounds import Bounds, importance_bounds
from zoo.model.autoencoder import Autoencoder
from zoo.types import DrawsCodes

MODEL = "VAE"
DRAWS = (1, 10, 100, 1_000)  # of the divergence
SAMPLES = (1, 10, 100, 1_000)  # importance samples
IMAGES, CHAINS, TEMPERATURES = 50, 10, 160  # a quarter of the temperatures in the reduced version
NATS = "nats per image"
ONE = "distance of Monte Carlo from the closed form, a single draw, over the divergence"
OFF = "distance of Monte Carlo from the closed form, 1,000 draws, over the divergence"
FALLS = "power of the number of draws with which that distance falls"
TWICE = "ELBO by the closed form less ELBO by Monte Carlo, over the divergence"
GAP = "log-likelihood by annealing less ELBO"
SHARE = "gap of the ELBO over the KL divergence"
CLOSES = "log-likelihood by annealing less bound of 1,000 importance samples, over the ELBO's gap"
SLOWER = "log-likelihood by annealing less that with half the temperatures, over the ELBO's gap"


def fits(data: str) -> dict[str, list[str]]:
    """A VAE."""
    return {MODEL: ["variant=vae"]}


def measure(lab: Lab) -> Found:
    """Divergences in two ways, and bounds on the log-likelihood that become tighter."""
    x = lab.test[:IMAGES]
    temperatures = TEMPERATURES if lab.full else TEMPERATURES // 4
    models = lab.models(MODEL)
    exact = np.array([closed_form(model, x).numpy() for model in models])
    off = {
        k: np.array([abs(monte_carlo(model, x, k).numpy() - one) for model, one in zip(models, exact, strict=True)])
        for k in DRAWS
    }
    bounds = {k: [bounds_of(model, x, k) for model in models] for k in SAMPLES}
    last = bounds[SAMPLES[-1]]
    elbo = np.array([one.reconstruction.numpy() for one in last]) - exact
    iwae = {k: np.array([one.iwae.numpy() for one in each]) for k, each in bounds.items()}
    annealed, faster = (
        np.array([annealed_log_likelihood(model, x, CHAINS, steps, seed=0).numpy() for model in models])
        for steps in (temperatures, temperatures // 2)
    )
    numbers = {
        OFF: statistics.ratio(off[DRAWS[-1]], exact),
        ONE: statistics.ratio(off[1], exact),
        FALLS: statistics.over_images(lambda a, b: np.log(a / b) / np.log(DRAWS[-1]), off[DRAWS[-1]], off[1]),
        TWICE: statistics.over_images(lambda a, b, c: abs(a - b) / c, elbo, [one.elbo.numpy() for one in last], exact),
        GAP: statistics.difference(annealed, elbo, NATS),
        CLOSES: statistics.over_images(lambda a, b, c: (a - b) / (a - c), annealed, iwae[SAMPLES[-1]], elbo),
        "KL divergence": statistics.mean(exact, NATS),
        SHARE: statistics.over_images(lambda a, b, c: (a - b) / c, annealed, elbo, exact),
        "log-likelihood by annealing": statistics.mean(annealed, NATS),
        SLOWER: statistics.over_images(lambda a, b, c: (a - b) / (a - c), annealed, faster, elbo),
    }
    shown = {
        "off": [statistics.ratio(off[k], exact) for k in DRAWS],
        "gaps": {
            "ELBO": numbers[GAP],
            **{f"{k:,} importance samples": statistics.difference(annealed, iwae[k], NATS) for k in SAMPLES[1:]},
        },
        "elbo": elbo[0],
        "annealed": annealed[0],
    }
    return Found(numbers, shown)


def closed_form(model: Autoencoder, x: torch.Tensor) -> torch.Tensor:
    """KL(q(z | x) || N(0, I)) of images: (B,), in nats."""
    return kl_divergence(posterior_of(model, x), Normal(0.0, 1.0)).sum(1).double()


def monte_carlo(model: Autoencoder, x: torch.Tensor, draws: int) -> torch.Tensor:
    """The same as a mean of log q - log p over draws from q."""
    assert isinstance(model.bottleneck, DrawsCodes)
    _, ratio = model.bottleneck.draw(model.encoder(x), draws, torch.Generator().manual_seed(0))
    return ratio.view(draws, len(x)).double().mean(0)


def bounds_of(model: Autoencoder, x: torch.Tensor, samples: int) -> Bounds:
    """Bounds on log p(x) from so many importance samples."""
    assert isinstance(model.bottleneck, DrawsCodes)
    return importance_bounds(model, model.bottleneck, x, samples, seed=0)


def cases(numbers: Numbers) -> list[Case]:
    """Closed form and Monte Carlo; two ways to the ELBO; the bound, its gap, and what closes it."""
    return [
        Case.of("The closed form is what draws average to, to within 2 %", OFF, numbers[OFF], below=0.02),
        Case.of(
            "The error of draws falls with the root of their number",
            FALLS,
            numbers[FALLS],
            above=-0.6,
            below=-0.4,
        ),
        Case.of(
            "With the closed form, the ELBO is the same as with draws alone",
            TWICE,
            numbers[TWICE],
            above=-0.01,
            below=0.01,
        ),
        Case.of("The ELBO is below the log-likelihood", GAP, numbers[GAP], above=0.0),
        Case.of("The gap is less than a tenth of the divergence", SHARE, numbers[SHARE], below=0.1),
        Case.of(
            "1,000 importance samples close more than half of the gap", CLOSES, numbers[CLOSES], beside=True, below=0.5
        ),
        Case.of(
            "Twice the temperatures change the gap by less than a twentieth",
            SLOWER,
            numbers[SLOWER],
            beside=True,
            above=-0.05,
            below=0.05,
        ),
    ]


def draw(found: Mapping[str, Found]) -> Figure:
    """Errors of Monte Carlo, gaps of bounds, and single images."""
    (one,) = found.values()
    figure, (errors, gaps, images) = canvas(
        found,
        "The divergence in closed form, and what the ELBO leaves out",
        "test images under a VAE; the log-likelihood is that of annealed importance sampling; bars: 95 % intervals",
        [(0.7, 0.2, 2.4, 2.3), (5.0, 0.2, 2.4, 2.3), (8.3, 0.2, 2.4, 2.3)],
    )
    draw_lines(errors, {"draws": (DRAWS, one.shown["off"])}, legend=False)
    errors.set(
        xscale="log",
        yscale="log",
        xlabel="draws",
        ylabel="mean error over the divergence",
        title="The divergence by draws, against its closed form",
    )
    draw_dots(gaps, one.shown["gaps"], bound=0.0)
    gaps.set(xlabel="nats below the log-likelihood", title="Gaps of bounds")
    a, b = one.shown["annealed"], one.shown["elbo"]
    ends = [min(a.min(), b.min()), max(a.max(), b.max())]
    images.plot(ends, ends, "--", lw=0.8, color="grey")
    images.plot(a, b, "o", ms=3, alpha=0.7)
    images.set(xlabel="log-likelihood, nats", ylabel="ELBO, nats", title="Each dot an image; dashed: no gap")
    return figure


CLAIM = Claim(
    title="The ELBO is reconstruction less a KL divergence in closed form, and bounds the log-likelihood",
    claim="""The KL divergence of a Gaussian posterior from a normal prior has a closed form. Draws give the same, with
        an error that falls with the root of their number; with the closed form, only the reconstruction needs draws.
        Reconstruction less divergence, the ELBO, is a lower bound on log p(x), and a close one.""",
    why="""log p(x) is the ELBO plus the divergence of q(z | x) from the true posterior p(z | x), which is never
        negative, and small where q is fitted well. A mean of several importance weights gives a tighter bound.""",
    equation="""
        KL(N(m, s^2) || N(0, 1)) = (m^2 + s^2 - 1 - log s^2) / 2, summed over units
        log p(x) = ELBO + KL(q(z | x) || p(z | x)),   ELBO = E_q[log p(x | z)] - KL(q(z | x) || p(z))
        ELBO <= E[log 1/K sum_k p(x, z_k) / q(z_k | x)] <= log p(x)""",
    done=f"""The divergence of {IMAGES} test images was computed in closed form and from draws of q. The log-likelihood
        was bounded by the ELBO, by importance weights of q, and estimated by annealed importance sampling:
        {CHAINS} chains for each image move from q to p(x, z) over {TEMPERATURES} temperatures, by Hamiltonian Monte
        Carlo. The same with half the temperatures shows whether these are enough. Intervals are over images and
        seeds.""",
    fails="""The bound is only as close as q is to the true posterior. Many importance samples make it tighter, and
        1,000 of them still leave a part of the gap. Annealing itself gives a lower bound on the average, so that the
        true gaps are on average as large as those shown, or larger. Log-densities of pixels depend on the noise that
        the likelihood assumes, so a gap in nats says little by itself: it is compared with the divergence.""",
    data=("mnist",),
    fits=fits,
    measure=measure,
    cases=cases,
    answers={
        "yyyyn": """Yes for the closed form and for the bound: draws give the same divergence, only with an error, and
            the ELBO is below the log-likelihood. But it is not close: it misses the log-likelihood by more than a tenth
            of the divergence.""",
    },
    draw=draw,
)
