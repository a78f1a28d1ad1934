"""One fit by two processes on the CPU: the loss of one process at the same batch."""

from __future__ import annotations

import pytest
import torch
from torch.multiprocessing.spawn import ProcessRaisedException

from zoo.errors import ZooError
from zoo.fitting.shared_batches import share_of
from zoo.runs.processes import mistake_in
from zoo.runs.single import fit_one, fit_together, read

IMAGES = 1293  # of the digits
BATCH = 34  # the last batch of an epoch has one image, and one process none


@pytest.mark.slow
def test_two_processes_give_the_loss_of_one(compose_job, tmp_path):
    assert IMAGES % BATCH == 1
    settings = (
        "hidden=[16]",
        "optimizer=adamw",
        "budget.epochs=2",
        f"budget.batch_size={BATCH}",
        "fit.clip=1",
        f"paths.home={tmp_path}",
    )
    job = compose_job("variant=deep_ae", *settings)
    shared = compose_job("variant=deep_ae", *settings, "trainer=ddp")
    data = read(job)
    assert len(data.train) == IMAGES
    one, two = fit_one(job, data), fit_one(shared, data)
    assert (two.report.epochs, two.report.best_epoch) == (one.report.epochs, one.report.best_epoch)
    assert two.report.history.keys() == one.report.history.keys()
    for name, values in one.report.history.items():
        assert two.report.history[name] == pytest.approx(values, rel=1e-5)
    for name, weight in one.model.state_dict().items():
        torch.testing.assert_close(two.model.state_dict()[name], weight, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("images", "world"), [(7, 2), (8, 2), (1, 2), (2, 3), (9, 3)])
def test_every_image_of_a_batch_counts_once(images, world):
    x = torch.arange(1.0, images + 1).view(-1, 1, 1, 1)
    shares = [share_of(x, rank, world) for rank in range(world)]
    counted = torch.cat([own[:count] for own, count in shares])
    assert torch.equal(counted.flatten().sort().values, x.flatten())
    assert all(len(own) for own, _ in shares)


def test_processes_are_part_of_a_runs_identity_only_where_there_are_several(compose_job):
    plain, shared = compose_job("variant=vae"), compose_job("variant=vae", "trainer=ddp")
    assert "devices" not in plain.config["fit"]
    assert shared.config["fit"]["devices"] == 2
    assert plain.key != shared.key


def test_a_fit_by_processes_is_not_stacked(compose_job):
    alike = ("variant=linear_ae", "hidden=[16]", "budget.epochs=1")
    for settings, together in (((), 2), (("trainer=ddp",), 0)):
        jobs = [compose_job(*alike, *settings, f"seed={seed}") for seed in (0, 1)]
        assert len(fit_together(jobs)) == together


def test_a_mistake_in_a_process_is_told_as_in_one():
    trace = "\n\n-- Process 1 terminated with the following error:\nTraceback (most recent call last):\n  File x\n"
    told = mistake_in(ProcessRaisedException(f"{trace}zoo.errors.ZooError: epoch 1: nan; lower it\n", 1, 2))
    assert str(told) == "epoch 1: nan; lower it"
    assert mistake_in(ProcessRaisedException(f"{trace}ValueError: x\n", 1, 2)) is None


@pytest.mark.parametrize("devices", [0, -1, "true", 1.5, "two"])
def test_devices_are_a_whole_number(compose_job, devices):
    with pytest.raises(ZooError, match="devices="):
        compose_job("variant=vae", "trainer=ddp", f"trainer.devices={devices}").make("fit")


def test_python_starts_no_processes(compose_job):
    job = compose_job("variant=deep_ae", "hidden=[16]", "trainer=ddp")
    from zoo.model.io import build_model

    data = read(job)
    model = build_model(job.config, data.shape, 0)
    with pytest.raises(ZooError, match=r"^trainer\.devices=2: only `zoo run` and `zoo study` start several"):
        job.make("fit")(model, data, job.make("objective"), 0)
