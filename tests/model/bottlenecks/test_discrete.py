"""Discrete bottlenecks: what they have in common, and each against its formula."""

import math

import pytest
import torch
from torch.distributions import Categorical, kl_divergence
from torch.nn import functional as F

from zoo.errors import ZooError
from zoo.model.bottlenecks.fsq import FSQ
from zoo.model.bottlenecks.gumbel import Gumbel
from zoo.model.bottlenecks.lfq import LFQ
from zoo.model.bottlenecks.vq import VQ, rotated

BUILDERS = {
    "vq": lambda: VQ(5, 4, 16),
    "residual_vq": lambda: VQ(2, 8, 16, stages=3),
    "fsq": lambda: FSQ(5, (8, 6, 5)),
    "lfq": lambda: LFQ(5, 4),
    "gumbel": lambda: Gumbel(5, 6),
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=BUILDERS)
def bottleneck(request):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        built = BUILDERS[request.param]()
    if isinstance(built, VQ):
        built.codebook *= 0.4 ** torch.arange(built.stages)[:, None, None]  # the stages of a fitted chain become finer
    return built


@pytest.fixture
def h(bottleneck):
    return torch.randn(200, bottleneck.in_features, generator=seeded())


# In common


def test_indices_and_points_are_inverse(bottleneck, h):
    point = bottleneck(h, seeded()).point
    indices = bottleneck.indices(point)
    assert indices.dtype is torch.int64
    assert 0 <= indices.min() <= indices.max() < bottleneck.codebook_size
    torch.testing.assert_close(bottleneck.points(indices), point)
    assert torch.equal(bottleneck.indices(bottleneck.points(indices)), indices)


@pytest.mark.parametrize("one", [VQ(1, 4, 16), FSQ(1, (8, 6, 5)), FSQ(1, (2, 3, 4)), LFQ(1, 4), Gumbel(1, 6)])
def test_other_points_have_the_nearest_entry(one):
    """Draws of a density reach beyond the code: there, a unit of FSQ ran over into the next one."""
    every = one.points(torch.arange(one.codebook_size)[:, None])
    z = 3 * torch.randn(500, every.shape[1], generator=seeded())
    nearest = torch.cdist(z, every).argmin(1)
    assert torch.equal(one.indices(z)[:, 0], nearest)


@pytest.mark.parametrize(("name", "codebooks"), [("vq", 1), ("residual_vq", 3), ("fsq", 5), ("lfq", 5), ("gumbel", 5)])
def test_symbols_take_their_codebooks_in_turn(name, codebooks):
    """Those of `vq` share one; each stage of `residual_vq`, and each position of the others, has its own."""
    built = BUILDERS[name]()
    assert built.codebooks == codebooks
    symbols = built.indices(built(torch.randn(3, built.in_features, generator=seeded()), seeded()).point).shape[1]
    assert symbols % codebooks == 0


def test_different_indices_have_different_points():
    for build in (BUILDERS["fsq"], BUILDERS["lfq"], BUILDERS["gumbel"]):
        bottleneck = build()
        every = torch.arange(bottleneck.codebook_size)[:, None].expand(-1, 5)
        points = bottleneck.points(every)
        assert len(points.unique(dim=0)) == bottleneck.codebook_size
        assert torch.equal(bottleneck.indices(points), every)


def test_quantising_a_code_again_does_not_change_it(bottleneck, h):
    """For one stage; for sums of entries, the search finds entries with that sum."""
    point = bottleneck(h).point
    if isinstance(bottleneck, VQ) and bottleneck.stages == 1:
        torch.testing.assert_close(bottleneck(point).point, point)
    torch.testing.assert_close(bottleneck.points(bottleneck.indices(point)), point)


def test_forward_passes_without_training_change_nothing(bottleneck, h):
    before = {name: tensor.clone() for name, tensor in bottleneck.state_dict().items()}
    bottleneck.train()
    bottleneck(h, seeded())
    with torch.no_grad():
        bottleneck(h.requires_grad_(), seeded())
    bottleneck.eval()
    bottleneck(h, seeded()).z.sum().backward()
    assert all(torch.equal(tensor, before[name]) for name, tensor in bottleneck.state_dict().items())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: VQ(0, 4), r"bottleneck\.positions=0: must be a whole number"),
        (lambda: VQ(4, 4, decay=1.0), r"bottleneck\.decay=1\.0: must be at least 0 and less than 1"),
        (lambda: FSQ(4, (8, 1)), r"bottleneck\.levels=\[8, 1\]: .* at least two levels"),
        (lambda: FSQ(4, (2**16, 2**16)), r"bottleneck\.levels=.* a codebook of 4,294,967,296 entries; at most"),
        (lambda: FSQ(4, ()), r"bottleneck\.levels=\[\]: a symbol needs at least one unit"),
        (lambda: LFQ(4, 0), r"bottleneck\.bits=0: must be a whole number"),
        (lambda: Gumbel(4, 0), r"bottleneck\.categories=0: must be a whole number"),
        (lambda: Gumbel(4, temperature=0), r"bottleneck\.temperature=0: must be greater than 0"),
    ],
)
def test_invalid_numbers_are_refused(build, message):
    with pytest.raises(ZooError, match=message):
        build()


# Straight-through gradients


@pytest.mark.parametrize("name", ["vq", "residual_vq", "lfq"])
def test_the_straight_through_gradient_is_unchanged(name):
    bottleneck = BUILDERS[name]()
    h = torch.randn(7, bottleneck.in_features, generator=seeded()).requires_grad_()
    code = bottleneck(h)
    weight = torch.randn(h.shape, generator=seeded(1))
    (code.z * weight).sum().backward()
    torch.testing.assert_close(h.grad, weight)
    torch.testing.assert_close(code.z, code.point)
    assert not torch.equal(code.point, h)


@pytest.mark.parametrize("level", [4, 5])
def test_fsq_has_the_gradient_of_its_bound(level):
    """Without rounding, z is a tanh scaled to the levels, shifted by half a level if their number is even."""
    h, delta = torch.linspace(-3, 3, 50, dtype=torch.float64)[:, None], 1e-5
    half = (level - 1) * (1 - 1e-3) / 2
    shift = 0.5 if level % 2 == 0 else 0.0

    def smoothed(h):
        return (h.tanh() * half - shift) / (level // 2)

    single = h.float().requires_grad_()
    FSQ(1, (level,))(single).z.sum().backward()
    finite = (smoothed(h + delta) - smoothed(h - delta)) / (2 * delta)
    torch.testing.assert_close(single.grad.double(), finite, rtol=1e-4, atol=1e-5)


def test_gumbel_has_the_gradient_of_the_softmax():
    h = torch.randn(3, 12, generator=seeded()).requires_grad_()
    weight = torch.randn(3, 12, generator=seeded(1))
    z = Gumbel(2, 6, temperature=0.7)(h, seeded(2)).z
    (given,) = torch.autograd.grad((z * weight).sum(), h)
    noise = -torch.empty(3, 2, 6).exponential_(generator=seeded(2)).log()
    soft = ((h.view(3, 2, 6) + noise) / 0.7).softmax(2)
    (expected,) = torch.autograd.grad((soft.flatten(1) * weight).sum(), h)
    torch.testing.assert_close(given, expected)
    torch.testing.assert_close(z.detach().view(3, 2, 6), F.one_hot(soft.argmax(2), 6).float())


# Vector quantisation


def test_vq_selects_the_nearest_entry():
    vq = VQ(1, 2, 3)
    vq.codebook.copy_(torch.tensor([[[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]]))
    code = vq(torch.tensor([[0.6, 0.1], [0.4, 0.1], [0.0, 1.5]]))
    assert torch.equal(code.point, torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 2.0]]))
    assert vq.indices(code.point).flatten().tolist() == [1, 0, 2]
    torch.testing.assert_close(code.penalties["commit"], torch.tensor([0.17, 0.17, 0.25]))


def test_a_stage_quantises_the_residual_of_the_one_before():
    vq = VQ(1, 1, 2, stages=3)
    vq.codebook.copy_(torch.tensor([[[-4.0], [4.0]], [[-2.0], [2.0]], [[-1.0], [1.0]]]))
    code = vq(torch.tensor([[6.8], [-3.1], [0.2]]))
    torch.testing.assert_close(code.point.flatten(), torch.tensor([7.0, -3.0, 1.0]))
    assert vq.indices(code.point).tolist() == [[1, 1, 1], [0, 1, 0], [1, 0, 0]]


def test_the_codebook_moves_by_its_moving_averages():
    vq = VQ(1, 1, 2, decay=0.8)
    vq.codebook.copy_(torch.tensor([[[-1.0], [1.0]]]))
    vq.use.copy_(torch.tensor([[2.0, 3.0]]))
    vq(torch.tensor([[-2.0], [-0.5], [3.0]]).requires_grad_()).z.sum().backward()
    use = torch.tensor([0.8 * 2 + 0.2 * 2, 0.8 * 3 + 0.2 * 1])
    entries = torch.tensor([(0.8 * 2 * -1 + 0.2 * -2.5), (0.8 * 3 * 1 + 0.2 * 3)]) / use
    torch.testing.assert_close(vq.use[0], use)
    torch.testing.assert_close(vq.codebook[0, :, 0], entries)


def test_dead_entries_restart_at_codes_of_the_batch():
    vq = VQ(1, 2, 4)
    vq.codebook.copy_(torch.tensor([[[0.0, 0.0], [50.0, 0.0], [0.0, 50.0], [50.0, 50.0]]]))
    vq.use.copy_(torch.tensor([[16.0, 0.0, 0.0, 0.6]]))
    h = torch.randn(64, 2, generator=seeded())
    vq(h.clone().requires_grad_(), seeded(1)).z.sum().backward()
    among = (vq.codebook[0][:, None] == h).all(2).any(1)
    assert among.tolist() == [False, True, True, False]
    assert vq.use[0, 1:3].tolist() == [16.0, 16.0], "a fresh entry has the mean use"
    torch.testing.assert_close(vq.codebook[0, 3], torch.tensor([50.0, 50.0]))


def test_a_fresh_codebook_starts_from_the_first_batch():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        vq = VQ(4, 3, 16)
    h = 100 + torch.randn(50, 12, generator=seeded())
    vq(h.clone().requires_grad_(), seeded(1)).z.sum().backward()
    assert (vq.codebook > 90).all()


def test_centres_of_clusters_are_found():
    centres = torch.tensor([[-5.0, 0.0], [5.0, 0.0], [0.0, 8.0]])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)  # with other seeds, a cluster may have no entry this close to its centre
        vq, g = VQ(1, 2, 12, decay=0.9), seeded()
    for _ in range(100):
        h = centres[torch.randint(3, (90,), generator=g)] + 0.1 * torch.randn(90, 2, generator=g)
        vq(h.requires_grad_(), g).z.sum().backward()
    distance = torch.cdist(centres, vq.codebook[0])
    assert (distance.amin(1) < 0.1).all()
    share = vq.use[0] * (distance < 1)  # of entries in a cluster, together its mean
    torch.testing.assert_close(share @ vq.codebook[0] / share.sum(1, keepdim=True), centres, rtol=0, atol=0.02)
    assert share.sum() > 0.99 * vq.use.sum(), "no entry is used between the clusters"


def test_every_stage_commits():
    """|h - sg(z(s))|^2 summed over stages, and its gradient: sum_s 2 (h - z(s))."""
    vq = VQ(2, 4, 16, stages=3)
    h = torch.randn(5, 8, generator=seeded()).requires_grad_()
    vq(h).penalties["commit"].sum().backward()
    rows, z, commit, gradient = h.detach().view(10, 4), torch.zeros(10, 4), 0.0, 0.0
    for book in vq.codebook:
        z = z + book[torch.cdist(rows - z, book).argmin(1)]
        commit, gradient = commit + (rows - z).square().sum(1), gradient + 2 * (rows - z)
    torch.testing.assert_close(vq(h).penalties["commit"], commit.view(5, 2).sum(1))
    torch.testing.assert_close(h.grad, gradient.view(5, 8))


def test_the_rotation_trick_rotates_and_scales_the_gradient():
    """|dL/dh| = |q| / |h| |dL/dz|, and the angle between gradient and code is the same on both sides."""
    h, q, weight = torch.randn(3, 40, 6, generator=seeded()).unbind()
    h.requires_grad_()
    z = rotated(h, q)
    torch.testing.assert_close(z, q, rtol=1e-4, atol=1e-5)
    (z * weight).sum().backward()
    scale = q.norm(dim=1) / h.norm(dim=1)
    torch.testing.assert_close(h.grad.norm(dim=1), scale * weight.norm(dim=1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(F.cosine_similarity(h.grad, h), F.cosine_similarity(weight, q), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(h.grad, weight, atol=0.1)


def test_rotation_changes_the_gradient_only():
    h = torch.randn(5, 8, generator=seeded())
    plain, rotation = VQ(2, 4, 16), VQ(2, 4, 16, rotation=True)
    rotation.load_state_dict(plain.state_dict())
    one, other = (vq(h.clone().requires_grad_()) for vq in (plain, rotation))
    torch.testing.assert_close(one.z, other.z)
    assert torch.equal(one.point, other.point)


def test_autocast_selects_the_same_entries(bottleneck, h):
    expected = bottleneck(h, seeded()).point
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(bottleneck(h, seeded()).point, expected)


# Finite scalars and bits


@pytest.mark.parametrize("level", [2, 3, 4, 5, 6, 7, 8])
def test_fsq_has_the_given_number_of_levels(level):
    z = FSQ(1, (level,))(torch.linspace(-12, 12, 5001)[:, None]).point
    assert len(z.unique()) == level
    assert z.diff(dim=0).min() >= 0
    assert z.abs().max() <= 1


@pytest.mark.parametrize("level", [2, 3, 4, 5, 6, 7, 8])
def test_fsq_starts_in_the_middle_of_its_levels(level):
    """An encoder's first outputs are small; with the shift of the paper, 98 % have the upper one of two levels."""
    digits = FSQ(1, (level,)).indices(FSQ(1, (level,))(0.7 * torch.randn(4000, 1, generator=seeded())).point)
    share = digits.flatten().bincount(minlength=level) / 4000
    torch.testing.assert_close(share, share.flip(0), rtol=0, atol=0.05)


def test_fsq_codebook_is_the_grid():
    fsq = FSQ(3, (4, 3))
    assert (fsq.codebook_size, fsq.in_features, fsq.out_features) == (12, 6, 6)
    reached = fsq.indices(fsq(8 * torch.randn(4000, 6, generator=seeded())).point)
    assert reached.unique().tolist() == list(range(12))


def test_lfq_by_hand():
    code = LFQ(2, 2)(torch.tensor([[0.5, -3.0, -0.1, 0.2]]))
    assert code.point.tolist() == [[1.0, -1.0, -1.0, 1.0]]
    assert LFQ(2, 2).indices(code.point).tolist() == [[1, 2]]
    torch.testing.assert_close(code.penalties["commit"], torch.tensor([0.25 + 4 + 0.81 + 0.64]))


def test_lfq_entropy_is_that_of_the_corners():
    h = 0.3 * torch.randn(6, 6, generator=seeded())
    lfq = LFQ(2, 3)
    distance = (h.view(6, 2, 1, 3) - lfq.corners).square().sum(3)
    q = Categorical(logits=-distance.double())
    mean = Categorical(probs=q.probs.mean((0, 1)))
    expected = q.entropy().sum(1) + 2 * (3 * math.log(2) - mean.entropy())
    torch.testing.assert_close(lfq(h).penalties["entropy"].double(), expected, rtol=1e-5, atol=1e-5)


def test_lfq_entropy_is_minimal_where_all_corners_are_used_equally():
    lfq = LFQ(1, 3)
    torch.testing.assert_close(lfq(9 * lfq.corners).penalties["entropy"], torch.zeros(8), rtol=0, atol=1e-5)
    collapsed = lfq(9 * lfq.corners[:1].expand(8, -1)).penalties["entropy"]
    torch.testing.assert_close(collapsed, torch.full((8,), 3 * math.log(2)), rtol=0, atol=1e-5)


# Categories


def test_gumbel_samples_have_the_stated_probabilities():
    logits, n = torch.tensor([[0.0, 1.0, -1.0, 2.0]]), 20_000
    share = Gumbel(1, 4)(logits.expand(n, -1), seeded()).z.mean(0)
    p = logits[0].softmax(0)
    assert ((share - p).abs() < 4 * (p * (1 - p) / n).sqrt()).all()


def test_gumbel_kl_is_that_of_torch_distributions():
    h = torch.randn(6, 20, generator=seeded())
    uniform = Categorical(logits=torch.zeros(5))
    expected = kl_divergence(Categorical(logits=h.view(6, 4, 5)), uniform).sum(1)
    torch.testing.assert_close(Gumbel(4, 5)(h).penalties["kl"], expected)
    torch.testing.assert_close(Gumbel(4, 5)(torch.zeros(2, 20)).penalties["kl"], torch.zeros(2), rtol=0, atol=1e-5)


def test_gumbel_prior_is_uniform_and_seeded():
    gumbel = Gumbel(3, 4)
    z = gumbel.sample(8000, seeded())
    assert torch.equal(z, gumbel.sample(8000, seeded()))
    assert (z.view(-1, 3, 4).sum(2) == 1).all()
    assert (z.mean(0) - 0.25).abs().max() < 4 * math.sqrt(0.1875 / 8000)
