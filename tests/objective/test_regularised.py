import torch
from torch import nn

from zoo.model.autoencoder import Autoencoder
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.corruptions import NoCorruption
from zoo.model.likelihoods import GaussianLikelihood
from zoo.objective.terms.regularised import code_norm, decoder_norm


def test_norms_by_hand():
    decoder = nn.Sequential(nn.Linear(2, 4), nn.Unflatten(1, (1, 2, 2)))
    with torch.no_grad():
        decoder[0].weight.fill_(2.0)
        decoder[0].bias.fill_(1.0)
    model = Autoencoder(nn.Flatten(), Pointwise(2), decoder, GaussianLikelihood(), NoCorruption())
    x = torch.tensor([[3.0, 4.0], [0.0, 2.0]]).view(2, 1, 1, 2)
    step = model(x)
    assert code_norm(model, x, step)["code_norm"].tolist() == [12.5, 2.0]
    norm = decoder_norm(model, x, step)["decoder_norm"]
    assert norm.tolist() == [8 * 4.0 + 4 * 1.0] * 2
    (gradient,) = torch.autograd.grad(norm.mean(), [decoder[0].weight])
    assert torch.equal(gradient, 2 * decoder[0].weight)
