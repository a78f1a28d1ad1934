"""A step on a GPU, recorded once and replayed: one launch in place of hundreds."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.autoencoder import Autoencoder
from zoo.objective import Objective

Terms = dict[str, Tensor]

WARM = 3  # steps that are taken before one is recorded: libraries choose their kernels in the first
ROUNDING = 1e-3  # relative difference of two takes of one step


class Replay:
    """The terms of a step and the gradient of their total; on a GPU, recorded and replayed.

    A small network keeps a GPU busy for some ten microseconds a step, and the processor, which launches its kernels one
    by one, for milliseconds. A CUDA graph launches them all at once. For each shape of batches the first steps are
    taken as they come; then one is recorded and replayed from there on.

    What is recorded reads and writes the same memory each time. So a step must not change what it reads elsewhere than
    in place, nor go by numbers that Python asked of the GPU: `replayable` finds out.

    Args:
        step: (images, progress) -> terms, "total" among them; progress is a scalar tensor.
        weights: what gets gradients.
        generators: what the step draws from, torch's own apart.
        record: False takes each step as it comes, which is all that a CPU can do.
    """

    def __init__(
        self,
        step: Callable[[Tensor, Tensor], Terms],
        weights: Sequence[Tensor],
        generators: Sequence[torch.Generator] = (),
        record: bool = True,
    ) -> None:
        self._step, self._weights, self._generators, self._record = step, weights, generators, record
        self._seen: Counter[torch.Size] = Counter()
        self._recordings: dict[torch.Size, Recording] = {}

    def __call__(self, x: Tensor, progress: float) -> Terms:
        """x -> the terms, detached, good until the next call; each weight's gradient is that of this step's total."""
        if not self._record or self._seen[x.shape] < WARM:
            self._seen[x.shape] += 1
            return self._take(x, torch.full((), progress, device=x.device))
        if x.shape not in self._recordings:
            self._recordings[x.shape] = self._recorded(x)
        return self._recordings[x.shape](x, progress)

    def _take(self, x: Tensor, progress: Tensor) -> Terms:
        drop_gradients(self._weights)
        terms = self._step(x, progress)
        torch.autograd.backward(terms["total"].sum())
        return {name: value.detach() for name, value in terms.items()}

    def _recorded(self, x: Tensor) -> Recording:
        x, progress, graph = x.clone(), torch.zeros((), device=x.device), torch.cuda.CUDAGraph()
        for generator in self._generators:
            graph.register_generator_state(generator)
        torch.clear_autocast_cache()  # weights that were converted before would never be converted again
        with torch.cuda.graph(graph):
            terms = self._take(x, progress)
        torch.clear_autocast_cache()  # those converted within hold numbers only once it is replayed
        return Recording(graph, x, progress, terms, [(weight, weight.grad) for weight in self._weights])


def drop_gradients(weights: Iterable[Tensor]) -> None:
    """As an optimiser's `zero_grad` does, which asks profilers first: that takes a twentieth of a small step."""
    for weight in weights:
        weight.grad = None


@dataclass(frozen=True)
class Recording:
    """A CUDA graph, where it reads its inputs, and where it leaves terms and gradients."""

    graph: torch.cuda.CUDAGraph
    x: Tensor
    progress: Tensor
    terms: Terms
    gradients: Sequence[tuple[Tensor, Tensor | None]]

    def __call__(self, x: Tensor, progress: float) -> Terms:
        """Replay the step on these inputs."""
        self.x.copy_(x)
        self.progress.fill_(progress)
        for weight, gradient in self.gradients:
            weight.grad = gradient
        self.graph.replay()
        return self.terms


def replayable(model: Autoencoder, objective: Objective, x: Tensor) -> bool:
    """Whether a step on images x: (B, C, H, W), on a GPU, can be recorded; found out by a trial on copies.

    Not so where Python asks the GPU for a number, where a step changes buffers, where CUDA does not record it, or where
    it gives something else the next time it is asked the same.
    """
    model, objective = deepcopy((model, objective))
    generator, weights = torch.Generator(x.device), list(model.parameters())
    replay = Replay(lambda x, progress: objective(model, x, model(x, generator), progress), weights, [generator])

    def outcome() -> Tensor:
        torch.manual_seed(0)
        generator.manual_seed(0)
        values = [*replay(x, 0.5).values(), *(weight.grad for weight in weights if weight.grad is not None)]
        return torch.cat([value.flatten() for value in values])

    before = [buffer.clone() for buffer in model.buffers()]
    with torch.random.fork_rng():
        try:
            with no_waiting():
                first, *others = [outcome() for _ in range(WARM)]
            if not all(map(torch.equal, before, model.buffers())):
                return False
            others += [outcome() for _ in range(2)]  # recorded, and replayed
        except RuntimeError:
            return False
    return all(bool((other - first).norm() <= ROUNDING * first.norm()) for other in others)


@contextmanager
def no_waiting() -> Iterator[None]:
    """Raise a RuntimeError where the processor would wait for a number from the GPU."""
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        # that the mode is a prototype: what escapes it, the recording refuses
        warnings.filterwarnings("ignore", message="Synchronization debug mode is a prototype", category=UserWarning)
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)
