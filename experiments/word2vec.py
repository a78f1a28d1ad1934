"""Skip-gram of the zoo beside that of gensim on one corpus: `python -m experiments.word2vec`.

Both at equal width, window, epochs, negatives and subsampling, on one thread, with three seeds; the words are those of
`data=words`. Writes scores and CPU seconds to results/word2vec/. Overrides of the configuration may follow, as those of
`zoo run`. Needs gensim: pip install 'bottleneck-zoo[words]'.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.data.arrays import seen_files
from zoo.data.sources.contexts import END, corpus, text_files
from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.evaluation.measures.word_judgements import analogies, answered, similarity, unit_length, word_pairs
from zoo.evaluation.registry import NotApplicable
from zoo.files import write_atomically
from zoo.runs.compose import composed, composing
from zoo.runs.job import Job
from zoo.runs.single import fit_here, processor, read
from zoo.runs.versions import installed

SETTING = ("variant=skip_gram", "budget.epochs=5", "trainer.progress=false")
SEEDS = (0, 1, 2)
SCORES = {"WordSim-353": "wordsim353", "SimLex-999": "simlex999", "analogies": "analogies"}


def main(overrides: Sequence[str] | None = None) -> None:
    """Fit both with every seed, and write what was found."""
    try:
        with composing([*SETTING, *(sys.argv[1:] if overrides is None else overrides)]) as given:
            report(Job.of(composed("config", given)))
    except (NotApplicable, ZooError) as error:
        sys.exit(f"error: {error}")


def report(job: Job) -> None:
    """Fit, measure, and write results/word2vec/."""
    torch.set_num_threads(1)
    data = read(job)
    found: dict[str, list[dict[str, float]]] = {"zoo": [], "gensim": []}
    for seed in SEEDS:
        for name, fit in (("zoo", of_zoo), ("gensim", of_gensim)):
            start = time.process_time()
            vectors = fit(replace(job, seed=seed), data)
            seconds = time.process_time() - start
            found[name].append({"seed": seed, **scores(vectors, data), "cpu_seconds": round(seconds, 1)})
            print(name, found[name][-1], flush=True)
    to = job.results / "word2vec"
    about = {"settings": settings(job), "gensim": installed("gensim"), "processor": processor(), "found": found}
    write_atomically(to / "word2vec.json", (json.dumps(about, indent=1) + "\n").encode())
    write_atomically(to / "README.md", page(about).encode())
    print(to / "README.md")


def settings(job: Job) -> dict[str, Any]:
    """What both fits have in common."""
    source, fit = job.config["data"]["source"], job.config["fit"]
    of_fit = {name: fit[name] for name in ("epochs", "negatives", "smoothing")}
    return {"width": job.width, **{name: source[name] for name in ("vocabulary", "window", "subsample")}, **of_fit}


def of_zoo(job: Job, data: Splits) -> Tensor:
    """Vectors of all words by `variant=skip_gram`: (V, D)."""
    with torch.no_grad():
        model = fit_here(job, data).model
        return model.encode(data.source.train[:])


def of_gensim(job: Job, data: Splits) -> Tensor:
    """Vectors of all words by gensim's skip-gram: (V, D)."""
    try:
        from gensim.models import Word2Vec
    except ImportError as error:
        raise ZooError("gensim is not installed: pip install 'bottleneck-zoo[words]'") from error
    given, source = settings(job), job.axes["data"]["source"]
    seen = () if job.path is None else seen_files(text_files(job.path))
    known, tokens = corpus(source["root"], source["path"], given["vocabulary"], seen)
    model = Word2Vec(
        [*documents(tokens, known)],
        sg=1,
        vector_size=given["width"],
        window=given["window"],
        epochs=given["epochs"],
        negative=int(given["negatives"]),
        ns_exponent=given["smoothing"],
        sample=given["subsample"],
        min_count=1,
        workers=1,
        seed=job.seed,
    )
    return torch.from_numpy(np.stack([model.wv[word] for word in known]))


def documents(tokens: NDArray[np.int32], known: Sequence[str]) -> Iterator[list[str]]:
    """The documents of a corpus as words, given their numbers: (T,), with -1 at the end of each."""
    for part in np.split(tokens, np.flatnonzero(tokens == END) + 1):
        yield [known[number] for number in part if number != END]


def scores(vectors: Tensor, data: Splits) -> dict[str, float]:
    """Rank correlations with people's judgements, and the fraction of right analogies."""
    codes, place = unit_length(vectors), {word: row for row, word in enumerate(data.form.features)}
    right, _ = answered(codes, place, analogies())
    pairs = {name: similarity(codes, place, word_pairs(name)).value for name in ("wordsim353", "simlex999")}
    return {**pairs, "analogies": right.float().mean().item()}


def page(about: Mapping[str, Any]) -> str:
    """The table, as Markdown."""
    given, rows = about["settings"], []
    for name, each in about["found"].items():
        cells = [spread([one[key] for one in each], 3) for key in SCORES.values()]
        rows.append(f"| {name} | {' | '.join([*cells, spread([one['cpu_seconds'] for one in each], 0)])} |")
    head = "\n".join([f"| skip-gram of | {' | '.join(SCORES)} | CPU seconds |", "|:--|--:|--:|--:|--:|", *rows])
    same = (
        f"The {given['vocabulary']:,} most frequent words, width {given['width']}, window {given['window']}, "
        f"{given['epochs']} epochs, {given['negatives']:g} negatives, subsampling at {given['subsample']:g}; one "
        f"thread of {about['processor']}, gensim {about['gensim']}. Counting the corpus is in neither time."
    )
    return f"""# Skip-gram of the zoo and of gensim

Written by `python -m experiments.word2vec`; the numbers are in [word2vec.json](word2vec.json).

{head}

Mean of {len(SEEDS)} seeds, lowest and highest in brackets. {same}

WordSim-353 and SimLex-999: rank correlation of cosines with human judgements; analogies: fraction of right answers.
"""


def spread(values: Sequence[float], digits: int) -> str:
    """The mean, and the range."""
    return f"{statistics.fmean(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


if __name__ == "__main__":
    main()
