import pytest
import torch
from torch import nn

from zoo.errors import ZooError
from zoo.model.bottlenecks.batch_topk import BatchTopK
from zoo.model.bottlenecks.penalised import Gated, Heaviside, JumpReLU, L1Rule, RateKLRule
from zoo.model.bottlenecks.sparse import Sparse
from zoo.model.bottlenecks.topk import TopK
from zoo.model.bottlenecks.winner_take_all import WinnerTakeAll


@pytest.fixture
def h():
    return torch.randn(64, 50, generator=torch.Generator().manual_seed(0))


# Rules


def test_topk_has_no_penalty():
    h = torch.tensor([[3.0, -1.0, 2.0, 5.0, 0.5]])
    code = Sparse(5, 2, TopK)(h)
    assert torch.equal(code.z, torch.tensor([[3.0, 0, 0, 5.0, 0]]))
    assert torch.equal(code.h, h)
    assert code.penalties == {}


def test_batch_topk_has_a_budget_per_batch():
    h = torch.tensor([[9.0, 8.0, 7.0, -1.0], [1.0, 2.0, -3.0, 0.5]])
    rule = BatchTopK(4, k=2)
    assert torch.equal(rule(h).z, torch.tensor([[9.0, 8.0, 7.0, 0], [0, 2.0, 0, 0]]))
    rule.eval()
    # in evaluation the smallest active value is the threshold, for every image by itself
    assert torch.equal(rule(torch.tensor([[3.0, 1.9, 2.0, 0]])).z, torch.tensor([[3.0, 0, 2.0, 0]]))


def test_batch_topk_uses_its_budget(h):
    z = BatchTopK(50, 7)(h).z
    assert (z > 0).sum() == 64 * 7
    assert z[z > 0].min() > h[z == 0].max()


def test_batch_topks_threshold_is_a_running_mean():
    rule = BatchTopK(3, k=1)
    assert torch.equal(rule.eval()(torch.tensor([[0.1, -1.0, 0.2]])).z, torch.tensor([[0.1, 0.0, 0.2]]))
    rule.train()
    for value in (2.0, 4.0):
        rule(torch.tensor([[value, 0.0, 0.0]]))
    assert rule.threshold.item() == pytest.approx(0.95 * 2 + 0.05 * 4)


def test_penalties_by_hand():
    h = torch.tensor([[2.0, -1.0, 0.5]])
    assert L1Rule(3, 1)(h).penalties["l1"].item() == 2.5
    gated = Gated(3, 1)
    nn.init.constant_(gated.bias, -1.0)
    code = gated(h)
    assert torch.equal(code.z, torch.tensor([[1.0, 0, 0]]))
    assert code.penalties["l1"].item() == 2.5
    code = JumpReLU(3, 1, threshold=1.0)(h)
    assert torch.equal(code.z, torch.tensor([[2.0, 0, 0]]))
    assert code.penalties["l0"].item() == 1


def test_rate_kl_is_that_of_bernoulli_distributions(h):
    rate = torch.distributions.Bernoulli((h / 0.1).sigmoid().mean(0))
    expected = torch.distributions.kl_divergence(torch.distributions.Bernoulli(torch.tensor(5 / 50)), rate).sum()
    code = RateKLRule(50, 5)(h)
    torch.testing.assert_close(code.penalties["rate_kl"], expected.expand(64))
    assert torch.equal(code.z, h.relu())


# Winner-take-all


def test_one_position_per_map_wins_and_few_images_per_map():
    rule = WinnerTakeAll(6, k=1, maps=2)  # two maps of three places, half of the images each
    h = torch.tensor([[1.0, 5.0, 2.0, 0.5, 0.1, 0.2], [3.0, 0.0, -1.0, 4.0, 6.0, -2.0]])
    assert torch.equal(rule(h).z, torch.tensor([[0.0, 5.0, 0, 0, 0, 0], [0, 0, 0, 0, 6.0, 0]]))
    assert torch.equal(WinnerTakeAll(2, k=1, maps=1)(torch.tensor([[-3.0, -1.0]])).z, torch.tensor([[0.0, -1.0]]))
    rule.eval()
    # in evaluation the smallest winner is each map's threshold, for every image by itself
    assert torch.equal(rule(torch.tensor([[4.9, 0, 0, 0, 6.5, 7.0]])).z, torch.tensor([[0, 0, 0, 0, 0, 7.0]]))


def test_images_have_one_winner_per_map_and_maps_an_equal_share_of_images(h):
    z = WinnerTakeAll(50, k=4, maps=10)(h).z.view(64, 10, 5)
    assert (z != 0).sum(2).max() == 1
    assert ((z != 0).sum((0, 2)) == round(64 * 4 / 10)).all()


def test_the_thresholds_of_winners_are_running_means():
    rule = WinnerTakeAll(2, k=1, maps=1)
    assert torch.equal(rule.eval()(torch.tensor([[0.1, -1.0]])).z, torch.tensor([[0.1, 0.0]]))
    rule.train()
    for value in (2.0, 4.0):
        rule(torch.tensor([[value, 0.0]]))
    assert rule.threshold.tolist() == pytest.approx([0.95 * 2 + 0.05 * 4])


@pytest.mark.parametrize(("k", "maps", "message"), [(2, 7, "maps=7: 50 units"), (11, 10, "k=11: each of .*maps=10")])
def test_invalid_numbers_of_maps_are_refused(k, maps, message):
    with pytest.raises(ZooError, match=message):
        WinnerTakeAll(50, k, maps)


# The threshold's gradient


def test_the_steps_gradient_is_that_of_a_ramp(h):
    h, width = h.double(), 0.7
    threshold = torch.linspace(-1, 1, 50, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(64, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def smoothed(t):
        return (weight * ((h - t) / width + 0.5).clamp(0, 1)).sum(0)

    (weight * Heaviside.apply(h, threshold, width)).sum().backward()
    delta = 1e-6
    with torch.no_grad():
        finite = (smoothed(threshold + delta) - smoothed(threshold - delta)) / (2 * delta)
    torch.testing.assert_close(threshold.grad, finite, rtol=1e-5, atol=1e-5)
    assert threshold.grad.abs().min() > 0


def test_the_threshold_has_the_gradient_of_error_and_count(h):
    h, width = h.double(), 0.5
    weight = torch.rand(64, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    rule = JumpReLU(50, 5, threshold=0.8, bandwidth=width).double()
    code = rule(h)
    ((weight * code.z).sum() + 3 * code.penalties["l0"].sum()).backward()

    def smoothed(a):
        passes = ((h - (10 * a).exp()) / width + 0.5).clamp(0, 1)
        return ((weight * h + 3) * passes).sum(0)

    delta, at = 1e-7, rule.a.detach()
    finite = (smoothed(at + delta) - smoothed(at - delta)) / (2 * delta)
    torch.testing.assert_close(rule.a.grad, finite, rtol=1e-5, atol=1e-5)


# Dead units, control, nested codes


def test_an_inactive_unit_is_dead_until_it_is_active_again():
    bottleneck, h = Sparse(3, 1, TopK, dead_after=5), torch.tensor([[1.0, 0.0, 0.0]]).repeat(3, 1)
    assert bottleneck(h).dead.tolist() == [False, False, False]
    assert bottleneck(h).dead.tolist() == [False, True, True]
    assert bottleneck(h.roll(1, dims=1)).dead.tolist() == [False, False, True]
    before = bottleneck.idle.clone()
    bottleneck.eval()(h)
    assert torch.equal(bottleneck.idle, before)


@pytest.mark.parametrize(("rule", "steps"), [(L1Rule, 800), (RateKLRule, 1600), (JumpReLU, 1600), (Gated, 800)])
def test_the_controller_brings_a_penalised_code_to_its_budget(rule, steps):
    generator = torch.Generator().manual_seed(0)
    atoms = nn.functional.normalize(torch.randn(80, 20, generator=generator), dim=1)
    x = torch.randn(64, 20, generator=generator)
    bottleneck, weight = Sparse(80, 6, rule, at_budget=True), nn.Parameter(atoms.clone())
    optimizer = torch.optim.Adam([weight, *bottleneck.parameters()], lr=3e-3, fused=True)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    for _ in range(steps):
        code = bottleneck(x @ weight.T)
        loss = 10 * (code.z @ atoms - x).square().sum(1) + sum(code.penalties.values())
        if rule is Gated:  # as by the term zoo.objective.terms.gate.gate
            loss = loss + 10 * (code.h.relu() @ atoms - x).square().sum(1)
        optimizer.zero_grad()
        loss.mean().backward()
        optimizer.step()
        schedule.step()
    l0 = (bottleneck.eval()(x @ weight.T).point != 0).sum(1).float().mean().item()
    assert l0 == pytest.approx(6, rel=0.1)
    assert bottleneck.l0.item() == pytest.approx(6, rel=0.1)


def test_a_code_starts_at_its_budget_and_keeps_the_shift(h):
    bottleneck = Sparse(50, 5, L1Rule, at_budget=True)
    assert torch.equal(bottleneck.eval()(h).z, h.relu())
    z = bottleneck.train()(h).z
    assert (z > 0).sum() == 64 * 5 - 1  # the value at the threshold becomes zero
    torch.testing.assert_close(z, (h - bottleneck.shift).relu())
    torch.testing.assert_close(bottleneck(2 * h).z, (2 * h - bottleneck.shift).relu())


def test_in_evaluation_the_penalty_is_the_excess(h):
    bottleneck = Sparse(50, 5, L1Rule).eval()
    assert bottleneck(h).penalties["l1"].tolist() == [0] * 64
    bottleneck.train()(torch.ones(64, 50))
    excess = 0.95 * 5 + 0.05 * 50 - 1.05 * 5
    torch.testing.assert_close(bottleneck.eval()(h).penalties["l1"], torch.full((64,), 30 * excess))


def test_nested_codes_are_further_samples_in_training():
    bottleneck = Sparse(4, 2, TopK, prefixes=[1, 3])
    h = torch.tensor([[4.0, 1.0, 3.0, 2.0], [1.0, 2.0, 3.0, 4.0]])
    full = torch.tensor([[4.0, 0, 3.0, 0], [0, 0, 3.0, 4.0]])
    first, three = torch.tensor([[4.0, 0, 0, 0], [0, 0, 0, 0]]), torch.tensor([[4.0, 0, 3.0, 0], [0, 0, 3.0, 0]])
    code = bottleneck(h)
    assert torch.equal(code.z, torch.cat([full, first, three]))
    assert torch.equal(code.point, full)
    assert torch.equal(bottleneck.eval()(h).z, full)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((8, 9, TopK), "bottleneck.k=9: more active units than the bottleneck.units=8 of the code"),
        ((8, 0, TopK), "bottleneck.k=0"),
        ((8, 2, TopK, False, [8]), "a nested code has from 1 to 7 units"),
    ],
)
def test_invalid_numbers_are_refused(arguments, message):
    with pytest.raises(ZooError, match=message):
        Sparse(*arguments)


# Batch top-k in evaluation


def test_a_batch_with_few_positive_values_does_not_lower_the_threshold_to_zero():
    rule = BatchTopK(4, k=2)
    rule(torch.tensor([[3.0, -1.0, -2.0, 0.0], [2.0, -1.0, 0.0, -1.0]]))
    assert rule.threshold.item() == 2
    assert rule(-torch.ones(2, 4)).z.eq(0).all()
    assert rule.threshold.item() == 2, "a batch without active units says nothing of the threshold"


@pytest.mark.parametrize(
    "variant", ["batch_topk", "matryoshka", "sparse_l1", "sparse_kl", "jumprelu", "gated", "winner_take_all"]
)
def test_unseen_images_have_as_many_active_units_as_the_budget(compose_job, fit_job, variant):
    run = fit_job(compose_job(f"variant={variant}", "budget.epochs=30"))
    k = run.model.bottleneck.k
    active = (run.model.encode(run.data.validation[:]) != 0).sum(1).double().mean().item()
    # a penalty may leave fewer units active, and no threshold adds one
    assert active == pytest.approx(k, rel=1e-6) or (0.95 * k < active < k and variant == "jumprelu")
    active = (run.model.encode(run.data.test[:]) != 0).sum(1).double().mean().item()
    assert active == pytest.approx(k, rel=0.05)


@pytest.mark.parametrize("bottleneck", [BatchTopK(50, 3), WinnerTakeAll(50, 2, maps=5), Sparse(50, 3, L1Rule, True)])
def test_thresholds_do_not_depend_on_how_inputs_are_divided(bottleneck, h):
    bottleneck.eval()
    found = []
    for size in (64, 7):
        bottleneck.calibrate(iter(h.split(size)))
        found.append(bottleneck.threshold.clone())
    assert torch.equal(*found)
    assert found[0].isfinite().all()


def test_a_threshold_of_inputs_that_are_never_positive_stays_as_it_was():
    rule = BatchTopK(4, k=2)
    rule.threshold.fill_(1.5)
    rule.calibrate([-torch.ones(3, 4)])
    assert rule.threshold.item() == 1.5
    rule.calibrate([torch.tensor([[1.0, 0, 0, 0]]), torch.tensor([[0, 3.0, 0, 0]])])
    assert rule.threshold.item() == 1
