"""Training steps recorded as CUDA graphs: one launch per step instead of hundreds."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.model.autoencoder import Autoencoder
from zoo.objective.objective import Loss, step_on

Terms = dict[str, Tensor]

WARM = 3  # steps before the recording: libraries choose their kernels in the first ones
ROUNDING = 1e-3  # largest relative difference between two runs of one step


class Replay:
    """Computes the terms of a step and the gradient of their total; on a GPU, by a recorded CUDA graph.

    A step of a small network takes some ten microseconds on the GPU, but milliseconds on the processor, which launches
    the kernels one by one. A CUDA graph launches all at once. For each shape of batch, the first steps run normally;
    then one is recorded and replayed from there on.

    A recorded step reads and writes the same memory each time. So a step may change its inputs in place only, and must
    not depend on values that Python reads from the GPU; `replayable` tests this.

    Args:
        step: (images, progress) -> terms, including "total"; progress is a scalar tensor.
        weights: tensors that receive gradients.
        generators: generators that the step draws from, other than torch's global one.
        record: False runs every step normally, as on a CPU.
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
        """Run a step on x: (B, C, H, W) and set the gradients of its total.

        Returns:
            The terms, detached; valid until the next call.
        """
        if not self._record or self._seen[x.shape] < WARM:
            self._seen[x.shape] += 1
            return self._run(x, torch.full((), progress, device=x.device))
        if x.shape not in self._recordings:
            self._recordings[x.shape] = self._recorded(x)
        return self._recordings[x.shape](x, progress)

    def _run(self, x: Tensor, progress: Tensor) -> Terms:
        drop_gradients(self._weights)
        terms = self._step(x, progress)
        torch.autograd.backward(terms["total"].sum())
        return {name: value.detach() for name, value in terms.items()}

    def _recorded(self, x: Tensor) -> Recording:
        x, progress, graph = x.clone(), torch.zeros((), device=x.device), torch.cuda.CUDAGraph()
        for generator in self._generators:
            graph.register_generator_state(generator)
        torch.clear_autocast_cache()  # the graph must contain the conversion of weights
        with torch.cuda.graph(graph):
            terms = self._run(x, progress)
        torch.clear_autocast_cache()  # weights converted inside have values only after a replay
        return Recording(graph, x, progress, terms, [(weight, weight.grad) for weight in self._weights])


def drop_gradients(weights: Iterable[Tensor]) -> None:
    """Set gradients to None, without the profiler hooks of `zero_grad`, which take 5 % of a small step."""
    for weight in weights:
        weight.grad = None


@dataclass(frozen=True)
class Recording:
    """A CUDA graph with the tensors that it reads (x, progress) and writes (terms, gradients)."""

    graph: torch.cuda.CUDAGraph
    x: Tensor
    progress: Tensor
    terms: Terms
    gradients: Sequence[tuple[Tensor, Tensor | None]]

    def __call__(self, x: Tensor, progress: float) -> Terms:
        """Replay the step on x: (B, C, H, W)."""
        self.x.copy_(x)
        self.progress.fill_(progress)
        for weight, gradient in self.gradients:
            weight.grad = gradient
        self.graph.replay()
        return self.terms


def replayable(model: Autoencoder, objective: Loss, x: Tensor) -> bool:
    """Whether a step on images x: (B, C, H, W), on a GPU, can be recorded; determined by a trial on copies.

    It cannot where Python reads a value from the GPU, where a step changes buffers, where CUDA cannot record it, or
    where equal inputs give different results.
    """
    model, objective = deepcopy((model, objective))
    generator, weights = torch.Generator(x.device), list(model.parameters())

    def step(x: Tensor, progress: Tensor) -> Terms:
        return objective(model, x, step_on(model, x, generator, len(x)), progress)

    replay = Replay(step, weights, [generator])

    def outcome() -> Tensor:
        torch.manual_seed(0)
        generator.manual_seed(0)
        values = [*replay(x, 0.5).values(), *(weight.grad for weight in weights if weight.grad is not None)]
        return torch.cat([value.flatten() for value in values])

    before = [buffer.clone() for buffer in model.buffers()]
    with torch.random.fork_rng():
        try:
            with no_synchronisation():
                first, *others = [outcome() for _ in range(WARM)]
            if not all(map(torch.equal, before, model.buffers())):
                return False
            others += [outcome() for _ in range(2)]  # one recording, one replay
        except RuntimeError:
            return False
    return all(bool((other - first).norm() <= ROUNDING * first.norm()) for other in others)


@contextmanager
def no_synchronisation() -> Iterator[None]:
    """Inside, raise a RuntimeError where the processor waits for a value from the GPU."""
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        # the recording catches what this prototype of a mode misses
        warnings.filterwarnings("ignore", message="Synchronization debug mode is a prototype", category=UserWarning)
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)
