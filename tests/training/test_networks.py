"""Half precision and compiling: networks alone, and as they were afterwards."""

import pytest
import torch

import discrete_ca as dca
from discrete_ca.errors import ConfigError
from discrete_ca.training.networks import compiled, half_precision


class Dense(dca.corruption.Corruption):
    """A user's noise, whose push-forward goes through a matrix product."""

    def __init__(self):
        super().__init__(2)

    def matrix(self, b):
        b = torch.as_tensor(b).double()
        eye = torch.eye(2, dtype=torch.float64)
        return (1 - b)[..., None, None] * eye + b[..., None, None] * 0.5


def make_kernel(noise):
    torch.manual_seed(0)
    return dca.CategoricalNoiseKernel(dca.nn.MLP(2, 2, shape=(3,), width=32), noise, hold=0.5)


@pytest.mark.parametrize("noise", [dca.corruption.Uniform(2), Dense()], ids=["closed", "dense"])
def test_networks_compute_in_half_precision_and_losses_do_not(noise):
    kernel = make_kernel(noise)
    z = torch.randint(0, 2, (64, 3), generator=torch.Generator().manual_seed(0))
    x = kernel.corrupt(z, 0.4, torch.Generator().manual_seed(1))
    whole = kernel.transition(x, 0.4).log_prob(z)
    with half_precision(kernel, torch.device("cpu"), True):
        assert kernel.net(x, torch.full((64,), 0.4)).dtype == torch.bfloat16
        half = kernel.transition(x, 0.4).log_prob(z)
    assert half.dtype == whole.dtype == torch.float32
    torch.testing.assert_close(half, whole, rtol=0.02, atol=0.02)
    assert not torch.equal(half, whole)
    assert torch.equal(kernel.transition(x, 0.4).log_prob(z), whole)  # as before


def test_a_run_in_half_precision_learns_what_one_in_float32_does():
    data = torch.tensor([[0, 0, 0], [1, 1, 1]]).repeat(32, 1)
    losses = {}
    for precision in dca.training.config.PRECISIONS:
        kernel = make_kernel(dca.corruption.Uniform(2))
        config = dca.TrainConfig(steps=200, batch_size=64, precision=precision, progress=False)
        losses[precision] = dca.Trainer(kernel, dca.Denoising(), data, config).fit().history
    first, second = (losses[p][-1]["loss"] for p in ("float32", "bfloat16"))
    assert first != second
    assert first < 0.75 * losses["float32"][0]["loss"]
    assert second == pytest.approx(first, rel=0.03)
    with pytest.raises(ConfigError, match="unknown precision 'bf16'; did you mean 'bfloat16'"):
        dca.TrainConfig(steps=1, precision="bf16")


def test_compiled_networks_are_called_and_left_as_they_were(monkeypatch):
    calls = []

    def backend(graph, examples):
        calls.append(len(examples))
        return graph.forward

    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda call, **_: real(call, backend=backend))
    kernel = make_kernel(dca.corruption.Uniform(2))
    x = torch.zeros(4, 3, dtype=torch.long)
    whole = kernel.transition(x, 0.4).log_prob(x)
    with compiled(kernel, True):
        found = kernel.transition(x, 0.4).log_prob(x)
        assert calls
    torch.testing.assert_close(found, whole)
    before = len(calls)
    kernel.transition(x[:3], 0.4)
    assert len(calls) == before
    assert all(not name.startswith("_orig") for name in kernel.state_dict())
