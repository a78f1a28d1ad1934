import pytest
import torch
from torch.nn import functional as F

from zoo.model.autoencoder import build
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.corruptions import BlockMask, GaussianNoise, PatchMask, PixelMask
from zoo.model.io import build_model
from zoo.model.likelihoods import GaussianLikelihood
from zoo.model.linear_decoder import atoms_of
from zoo.model.networks.vit import Block, Unpatch, vit

MASKS = [PatchMask(0.75), PatchMask(0.5), BlockMask(0.4), PixelMask(0.05)]


@pytest.fixture
def x():
    return torch.rand(40, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def encoder_of(mask_token, shape=(1, 28, 28)):
    torch.manual_seed(0)
    return vit(shape, 6, 6, shape[0], dim=16, depth=2, decoder_dim=8, decoder_depth=1, mask_token=mask_token)[0].eval()


@pytest.mark.parametrize("mask_token", [False, True], ids=["mae", "simmim"])
@pytest.mark.parametrize("corruption", MASKS, ids=repr)
def test_masked_pixels_do_not_affect_the_code(x, corruption, mask_token):
    encoder = encoder_of(mask_token)
    _, hidden = corruption(x, generator())
    other = torch.where(hidden == 1, torch.rand(x.shape, generator=generator(1)), x)
    h = encoder(x, hidden)
    assert torch.equal(encoder(other, hidden), h)
    assert not torch.allclose(encoder(other), encoder(x), atol=1e-4), "without the mask they affect it"
    patches = F.max_pool2d(hidden, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    elsewhere = torch.where(patches == 1, x, torch.rand(x.shape, generator=generator(1)))
    moved = (encoder(elsewhere, hidden) - h).abs().amax(1) > 1e-5
    assert torch.equal(moved, (patches == 0).flatten(1).any(1)), "visible pixels must affect it"


def test_the_code_of_an_image_does_not_depend_on_the_masks_of_its_batch(x):
    encoder = encoder_of(mask_token=False)
    _, hidden = PixelMask(0.05)(x, generator())
    visible = (F.max_pool2d(hidden, 4) == 0).sum((1, 2, 3))
    assert len(visible.unique()) > 3
    alone = torch.cat([encoder(x[i : i + 1], hidden[i : i + 1]) for i in range(len(x))])
    torch.testing.assert_close(encoder(x, hidden), alone, rtol=1e-4, atol=1e-5)


def test_an_empty_mask_is_no_mask_and_a_full_mask_gives_one_code(x):
    encoder = encoder_of(mask_token=False)
    nothing, everything = torch.zeros(40, 1, 28, 28), torch.ones(40, 1, 28, 28)
    torch.testing.assert_close(encoder(x, nothing), encoder(x))
    h = encoder(x, everything)
    assert h.isfinite().all()
    torch.testing.assert_close(h, h[:1].expand_as(h))


def test_positions_of_patches_matter(x):
    """The same patches in another order make another code."""
    encoder = encoder_of(mask_token=False)
    assert not torch.allclose(encoder(x.flip(2)), encoder(x), atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "patches"), [((1, 8, 8), 16), ((1, 28, 28), 49), ((3, 32, 32), 64), ((2, 6, 10), 15)]
)
def test_shapes(shape, patches):
    encoder, decoder = vit(shape, 6, 5, 4)
    assert encoder.positions.shape == (patches, 64)
    assert encoder(torch.rand(2, *shape)).shape == (2, 6)
    assert decoder(torch.rand(2, 5)).shape == (2, 4, *shape[1:])


def test_unpatch_is_the_inverse_of_unfold():
    x = torch.rand(3, 2, 8, 12, generator=generator())
    assert torch.equal(Unpatch((2, 8, 12), 4)(F.unfold(x, 4, stride=4).mT), x)


def test_attention_equals_torchs():
    torch.manual_seed(0)
    block = Block(8, 2, torch.nn.GELU)
    t, looked = torch.randn(3, 5, 8), torch.rand(3, 1, 1, 5) > 0.3
    looked[..., 0] = True
    torchs = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    with torch.no_grad():
        torchs.in_proj_weight.copy_(block.qkv.weight)
        torchs.in_proj_bias.copy_(block.qkv.bias)
        torchs.out_proj.load_state_dict(block.merge.state_dict())
        block.mlp[-1].weight.zero_()
        block.mlp[-1].bias.zero_()
    n = block.norm(t)
    expected = t + torchs(n, n, n, key_padding_mask=~looked[:, 0, 0])[0]
    torch.testing.assert_close(block(t, looked), expected)


def test_an_autoencoder_passes_masks_and_not_other_corruptions_to_its_encoder(x):
    def built(corruption):
        return build((1, 28, 28), vit, lambda: Pointwise(4), GaussianLikelihood(), corruption, 0).eval()

    model = built(PatchMask(0.5))
    step = model(x, generator())
    assert torch.equal(step.code.z, model.encode(x, step.hidden))
    assert torch.equal(model.reconstruct(x, step.hidden), step.raw)
    model = built(GaussianNoise(0.5))
    step = model(x, generator())
    assert torch.equal(step.code.z, model.encode(step.seen)), "noise is not a mask"


@pytest.mark.parametrize(("variant", "rate"), [("mae", 0.75), ("simmim", 0.6)])
def test_masked_autoencoders_are_not_affine_and_mask_as_much_as_their_papers(compose_job, variant, rate):
    """A linear head on one code makes the map from code to image affine, which cannot beat PCA."""
    model = build_model(compose_job(f"variant={variant}", "width=8").config, (1, 8, 8), seed=0)
    with torch.no_grad():
        assert atoms_of(model.decode, 8) is None
        _, hidden = model.corruption(torch.rand(200, 1, 8, 8), torch.Generator().manual_seed(0))
    assert hidden.mean().item() == pytest.approx(rate, abs=0.05)
