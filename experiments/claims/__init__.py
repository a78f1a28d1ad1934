"""The lecture, tested: each claim about bottlenecks as an experiment with a verdict.

`zoo claims` tests all of them, `zoo claims linear denoising` some, `zoo claims linear data=digits` the reduced version.

To add a claim, write one module here, add its name to `NAMES`, and run `zoo claims <name> paths.results=results`, which
writes results/claims/<name>.json, <name>.png and README.md. The module ends with

    CLAIM = Claim(
        title="...",           # one short sentence that can be right or wrong
        claim="...",           # what is claimed, for a learner
        why="...",             # why one would believe it
        equation="...",        # in plain text
        done="...",            # what was done; no numbers that are settings: these are listed by themselves
        fails="...",           # when it fails; no measured numbers: these are in the table
        data=("mnist",),       # options of the axis `data`; the first is the one that the reduced version is judged by
        fits=fits,
        measure=measure,
        cases=cases,
        answers={"yyn?": "..."},  # the verdict in words
        draw=draw,
    )

which names four functions of the module:

`fits(data) -> {name: [override, ...]}`: the models, as overrides of `zoo run`, on top of `lab.SETTINGS[data]`:
    {"plain": ["variant=deep_ae"], "two units": ["variant=deep_ae", "width=2"]}. Each is fitted with three seeds
    (those of closed forms with one) before `measure` is called, and kept in outputs/. Claims with equal overrides
    share models, so write nothing that is the default. It may depend on `data`, and may be empty.

`measure(lab) -> Found(numbers, shown)`: the experiment on one data set. `lab` (see `lab.Lab`) has `data`, `train`,
    `test`, `train_labels`, `test_labels`, `models(name)` (one fitted `Autoencoder` per seed), `full` (False in the
    reduced version), `splits` and `references`. `numbers` is {name: Number}; its names are read by people, so write
    them out, and put the unit into the Number. Make Numbers by `statistics.over_images` and `statistics.over_seeds`,
    which give the 95 % intervals. `shown` holds whatever else the figure needs: curves, images. Same seed, same
    numbers: every random choice has a seed.

`cases(numbers) -> [Case.of(part, name, number, below=bound), ...]`: the parts of the claim, each decided by one of the
    numbers. `part` is a whole statement that is true or false, in the reader's words: "With tied weights, the error is
    that of PCA". It is true if the number is `below` or `above` the bound, or between two, and undecided where its
    interval includes one. All parts true: the verdict is *holds*; none: *does not hold*; else *holds in part*. Parts
    are what the claim says, and nothing else; a control or another thing worth knowing is `beside=True` and does not
    count. Write parts such that each could come out either way.

`answers`: {outcomes: sentence}: the verdict in a sentence or two for a learner, without numbers, under the outcomes for
    which it was written: "yyn?" for four parts on one data set. A measurement with other outcomes shows no sentence
    until one is written for them; a test asks for that of results/claims.

`draw(found) -> Figure`: the figure, from {data: Found}, by `drawing`: readable without the text, at most a dozen
    labelled series. It is looked at by eye.

The reduced version is the same code on `data=digits` (or what `Claim.reduced` names). A test runs it, within three
seconds or so, and compares its cases with those of results/claims/<name>.json: choose settings for which they agree
whatever the seed.
"""

from __future__ import annotations

from importlib import import_module

from experiments.claims.claim import Claim
from zoo.errors import ZooError, nearest

NAMES = (  # in the order of the page
    "linear",
    "depth",
    "denoising",
    "masking",
    "copying",
    "overlap",
    "sampling",
    "hybrids",
    "coding",
    "elbo",
    "hills",
    "posterior",
    "parametric",
    "optimisers",
    "densities",
    "embeddings",
)


def claim_of(name: str) -> Claim:
    """A claim by its name, which is that of its module.

    Raises:
        ZooError: there is none, or a package that it needs is not installed.
    """
    if name not in NAMES:
        raise ZooError(f"zoo claims {name}: no such claim{nearest(name, NAMES)}")
    try:
        found = import_module(f"experiments.claims.{name}").CLAIM
    except ModuleNotFoundError as error:
        raise ZooError(f"zoo claims {name} needs {error.name}: pip install 'bottleneck-zoo[claims]'") from error
    assert isinstance(found, Claim)
    return found
