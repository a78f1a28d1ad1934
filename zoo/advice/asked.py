"""Advice for the data that a command names."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from zoo.advice.halving import advise
from zoo.advice.verdict import Advice
from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.files import check_writable
from zoo.runs.compose import composed, composing
from zoo.runs.job import Job

MINUTES = "5"
KNOWN = ("data", "seed", "trust", "minutes", "paths")


def advice_for(overrides: Sequence[str]) -> tuple[Advice, Path]:
    """Advice for the training samples of some data, and the folder for its page.

    Raises:
        ZooError: a setting that does not belong to the data, or samples that cannot be used.
    """
    given = [override for override in overrides if not override.startswith("minutes=")]
    minutes = [MINUTES, *(o.partition("=")[2] for o in overrides if o.startswith("minutes="))][-1]
    for override in given:
        if override.partition("=")[0].partition(".")[0] not in KNOWN:
            raise ZooError(
                f"{override}: zoo advise chooses methods and settings itself; give data=, minutes= and seed="
            )
    try:
        time = float(minutes)
    except ValueError as error:
        raise ZooError(f"minutes={minutes}: must be a number greater than 0") from error
    with composing(given) as complete:
        job = Job.of(composed("config", complete))
    check_writable("paths.results", job.results)
    data: Splits = job.make("data")
    form, stored = data.form, data.source.train.stored(slice(None))
    if form.kind == "image" and data.source.train.scale != 255:
        stored = stored.to(torch.float32)  # `zoo.fit` divides bytes by 255, and here another value is white
    x = stored.permute(0, 2, 3, 1).numpy() if form.channels == "last" else stored.reshape(-1, *form.shape).numpy()
    labels = np.asarray(data.source.train.labels) if len(data.classes) > 1 else None
    named = shlex.join(o for o in given if o.startswith(("data", "trust", "paths"))) or f"data={job.data}"
    samples = pd.DataFrame(x, columns=list(form.features)) if form.features else x
    advice = advise(samples, labels, minutes=time, kind=form.kind, seed=job.seed, data=named)
    advice.summary.insert(1, f"Another {len(data.source.test):,} samples, the test set of these data, were not used.")
    return advice, job.results / job.data / "advice"
