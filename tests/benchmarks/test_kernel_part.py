import torch

import discrete_ca as dca
from benchmarks import kernel_part, memory
from tests.helpers import seeded


def test_quick_form_measures_every_noise(tmp_path):
    found = kernel_part.main(["--quick", "--folder", str(tmp_path)])
    assert len(found["rows"]) == 3
    for row in found["rows"]:
        for noise in ("uniform", "absorbing", "ordinal"):
            assert row[f"{noise}: times faster"] > 0


def test_the_reference_is_the_absorbing_kernel():
    g = seeded(0)
    x = torch.randint(0, kernel_part.K, (2, 3), generator=g)
    y = torch.where(torch.tensor([True, False, False]), x, kernel_part.K)
    logits, b = torch.randn(2, 3, kernel_part.K, generator=g), torch.tensor([0.3, 0.9])
    kernel = dca.CategoricalNoiseKernel(
        kernel_part.Given(logits), dca.corruption.Absorbing(kernel_part.K), 0.7, carry_over=False
    )
    law = kernel_part.reference_law(logits, x, b, 0.7)
    for states in (x, y):
        found = law.gather(-1, states.unsqueeze(-1)).sum((1, 2))
        torch.testing.assert_close(found, kernel.transition(x, b).log_prob(states))


def test_memory_of_a_known_size():
    if memory.AVAILABLE:
        found = memory.peak("import torch", "torch.ones(50_000_000)")
        assert 190_000 < found < 230_000  # kilobytes
