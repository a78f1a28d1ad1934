import pytest
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from tests.evaluation.conftest import measured
from zoo.evaluation.metrics.reconstruction import explained_variance, mae, ms_ssim, mse, psnr, sse, ssim
from zoo.evaluation.registry import NotApplicable


def test_errors_by_hand():
    x = torch.zeros(2, 1, 2, 2)
    x_hat = torch.tensor([[[[0.0, 0.5], [-1.0, 0.0]]], [[[0.1, 0.1], [0.1, 0.1]]]])
    torch.testing.assert_close(sse(x, x_hat), torch.tensor([1.25, 0.04]))
    torch.testing.assert_close(mse(x, x_hat), torch.tensor([0.3125, 0.01]))
    torch.testing.assert_close(mae(x, x_hat), torch.tensor([0.375, 0.1]))
    torch.testing.assert_close(psnr(x, x_hat), torch.tensor([5.0515, 20.0]), rtol=1e-4, atol=0)


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 8, 8), (3, 32, 24), (1, 6, 6)])
def test_ssim_equals_torchmetrics(shape):
    g = torch.Generator().manual_seed(0)
    x = torch.rand(33, *shape, generator=g)
    for spread in (0.02, 0.3, 1.0):
        x_hat = x + spread * torch.randn(x.shape, generator=g)
        expected = structural_similarity_index_measure(x_hat, x, data_range=1.0, reduction="none")
        torch.testing.assert_close(ssim(x, x_hat, chunk=10), expected, rtol=0, atol=1e-6)


def test_ssim_equals_torchmetrics_on_digits(digits):
    x = digits.test[:]
    x_hat = x.roll(1, 3)
    expected = structural_similarity_index_measure(x_hat, x, data_range=1.0, reduction="none")
    torch.testing.assert_close(ssim(x, x_hat), expected, rtol=0, atol=1e-6)


def test_ssim_of_images_smaller_than_half_a_window():
    x = torch.zeros(2, 1, 28, 5)
    with pytest.raises(NotApplicable, match="at least 6 pixels a side, not 5"):
        ssim(x, x)


def test_identity_model_is_perfect(identity_model, digits):
    records = measured(identity_model(1, 8, 8), digits, ["reconstruction"], {})
    perfect = {"sse": 0.0, "mse": 0.0, "mae": 0.0, "psnr": 100.0, "ssim": 1.0}
    for name, value in perfect.items():
        assert records[name]["value"] == pytest.approx(value, rel=1e-7, abs=1e-12)
        assert set(records[name]["per_class"]) == set(digits.classes)


def test_ms_ssim_of_images_large_enough():
    g = torch.Generator().manual_seed(0)
    x = torch.rand(3, 1, 176, 180, generator=g)
    noisy, noisier = (x + std * torch.randn(x.shape, generator=g) for std in (0.1, 0.3))
    torch.testing.assert_close(ms_ssim(x, x, chunk=2), torch.ones(3))
    assert (ms_ssim(x, noisier) < ms_ssim(x, noisy)).all()
    assert (ms_ssim(x, noisy) < 0.999).all()


def test_explained_variance_of_perfect_mean_and_worse(digits):
    x = digits.test[:]
    mean = x.mean(0, keepdim=True).expand_as(x)
    assert explained_variance(x, x).value == 1
    assert explained_variance(x, mean).value == pytest.approx(0, abs=1e-6)
    assert explained_variance(x, 2 * mean - x).value == pytest.approx(-3, abs=1e-5)  # error twice the deviation
    with pytest.raises(NotApplicable, match="all test images are equal"):
        explained_variance(mean, x)


def test_explained_variance_equals_scikit_learns(digits):
    from sklearn.metrics import r2_score

    x = digits.test[:].flatten(1)
    x = x[:, x.std(0) > 0]  # scikit-learn leaves out pixels that do not vary
    x_hat = 0.8 * x + 0.1
    expected = r2_score(x.numpy(), x_hat.numpy(), multioutput="variance_weighted")
    assert explained_variance(x[:, None, None], x_hat[:, None, None]).value == pytest.approx(expected, rel=1e-5)
