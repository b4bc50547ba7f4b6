"""The autoregressive benchmark: its network, its kernels side by side, its limits, its table."""

import json

import pytest
import torch

import discrete_ca as dca
from benchmarks import autoregressive, pages
from benchmarks.causal import AutoregressiveEnsemble, CausalMLP, WholePasses
from benchmarks.laws import random_law
from discrete_ca.corruption import Uniform
from discrete_ca.diagnostics import exact
from tests.helpers import seeded


def writer(seed):
    torch.manual_seed(seed)
    return CausalMLP(2, (2, 2), width=16, depth=1)


def states(count, seed):
    return torch.randint(0, 2, (count, 2, 2), generator=seeded(seed))


def test_the_sites_before_and_no_others_are_seen():
    net, b = writer(0), torch.tensor([0.3])
    x, y = states(1, 0), states(1, 1)
    base = net(x, b, y, b).flatten(1, 2)
    for site in range(4):
        other, seen = y.clone(), x.clone()
        other.view(1, 4)[0, site] ^= 1
        seen.view(1, 4)[0, site] ^= 1
        changed = (net(x, b, other, b).flatten(1, 2) != base).any(-1)[0]
        assert changed.tolist() == [i > site for i in range(4)]
        assert bool((net(seen, b, y, b).flatten(1, 2) != base).any(-1).all())  # x is seen whole


def test_sites_written_one_by_one_have_the_logits_of_one_pass():
    net, b = WholePasses(writer(0)), torch.linspace(0.1, 0.9, 6)
    x, y = states(6, 0), states(6, 1)
    seen, condition = net.read(x, b, b)
    memory, sites = net.memory(), y.flatten(1)
    for site in range(4):
        found = net.write(seen, condition, site, sites[:, site - 1] if site else None, memory)
        torch.testing.assert_close(found, net(x, b, y, b).flatten(1, 2)[:, site])


def test_each_example_goes_through_its_own_member():
    nets, b = [writer(seed) for seed in range(3)], torch.linspace(0.1, 0.9, 6)
    x, y, label = states(6, 0), states(6, 1), torch.tensor([2, 0, 1, 1, 0, 2])
    together = AutoregressiveEnsemble(nets, Uniform(2))
    found = together.transition(x, b, label=label).log_prob(y)
    for i, member in enumerate(label.tolist()):
        alone = dca.AutoregressiveKernel(WholePasses(nets[member]), Uniform(2))
        want = alone.transition(x[i : i + 1], b[i : i + 1]).log_prob(y[i : i + 1])
        torch.testing.assert_close(found[i : i + 1], want)
        again = together.member(member).transition(x[i : i + 1], b[i : i + 1])
        torch.testing.assert_close(again.log_prob(y[i : i + 1]), want)


def test_steps_of_members_are_drawn_from_their_own_law():
    """40,000 draws a member of 16 states: within 0.03 in TV but once in 1e9."""
    together = AutoregressiveEnsemble([writer(seed) for seed in range(2)], Uniform(2))
    count = 40_000
    x, label = states(1, 3).expand(2 * count, 2, 2), torch.arange(2).repeat(count)
    y = together.transition(x, 0.3, label=label).sample(seeded())
    at = int(exact.index(x[:1], 2))
    laws = [exact.transition_matrix(together.member(i).double(), (2, 2), 0.3)[at] for i in (0, 1)]
    assert exact.total_variation(*laws) > 0.06
    for i, law in enumerate(laws):
        found = exact.index(y[label == i], 2).bincount(minlength=16) / count
        assert exact.total_variation(found.double(), law) < 0.03


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_is_renoised_to_another_example_of_its_law(share):
    """Without noise y is that example's z: here z is its place in a batch of two laws in turn."""
    together = AutoregressiveEnsemble([writer(0), writer(1)], Uniform(2), independent=share)
    count = 2000
    z = torch.arange(count)[:, None] // 2 ** torch.arange(11) % 2
    y = together.renoise(z, z, torch.zeros(count), seeded())
    found = (y * 2 ** torch.arange(11)).sum(1)
    far = (torch.arange(count) - 2) % count
    assert bool(((found == torch.arange(count)) | (found == far)).all())
    assert float((found == far).double().mean()) == pytest.approx(share, abs=0.06)


@pytest.mark.parametrize("level", autoregressive.LEVELS)
def test_the_limit_of_renoising_is_stationary_and_that_of_denoising_is_not(level):
    law = random_law(7)
    P, noisy = autoregressive.limit(law, level), exact.noisy_law(law.p, Uniform(2), (5,), level)
    assert exact.detailed_balance_residual(P, noisy) < 1e-12  # so that CA leaves it where it is
    alone = autoregressive.limit(law, level, independent=0.0)
    assert exact.detailed_balance_residual(alone, noisy) < 1e-12
    assert exact.spectral_gap(alone, noisy) < exact.spectral_gap(P, noisy)
    limit = autoregressive.measure(P, law, level)
    assert limit["tv"] < 1e-12
    factorised = autoregressive.measure(autoregressive.best(law, None, level), law, level)
    assert factorised["tv"] > 0.01
    assert limit["gap"] > factorised["gap"]


def test_the_table_pairs_each_law_with_its_own_factorised_network():
    rows = []
    for seed, (base, ours) in enumerate([(0.2, 0.1), (0.3, 0.1), (0.4, 0.4)]):
        for method, tv, gap in ((autoregressive.FACTORISED, base, 0.5), ("ours", ours, 0.4)):
            for b in autoregressive.LEVELS:
                rows.append({"seed": seed, "method": method, "b": b, "tv": tv * b, "gap": gap,
                             "seconds": 1.0})  # fmt: skip
    table = {(row["method"], row["b"]): row for row in autoregressive.summarise(rows)}
    ours = table["ours", 0.3]
    assert ours["TV"] == pytest.approx(0.03) and ours["laws"] == 3
    assert ours["closer than the factorised network (x)"] == pytest.approx(2.0)
    assert ours["least of the laws (x)"] == pytest.approx(1.0)
    assert ours["gap / the factorised network's"] == pytest.approx(0.8)


def test_quick_form_is_closer_than_any_factorised_kernel_and_writes_its_report(
    tmp_path, monkeypatch
):
    """At b = 0.3, after 160 steps of 128, CA at the end: no factorised kernel gets there."""
    monkeypatch.setattr(autoregressive, "LEVELS", (0.3,))
    found = autoregressive.main(["--quick", "--folder", str(tmp_path)])
    written = json.loads((tmp_path / "quick/autoregressive.json").read_text())
    assert written["rows"] == found["rows"] and written["settings"]["seeds"] == [0]
    tv = {row["method"]: row["TV"] for row in found["rows"] if row["b"] == 0.3}
    limits = [tv.pop(name) for name in autoregressive.LIMITS]
    assert max(tv.pop(autoregressive.LIMIT), tv.pop(autoregressive.ALONE)) < 1e-10
    assert tv.pop(autoregressive.FACTORISED) > min(limits)
    assert len(tv) == 2 and max(tv.values()) < min(limits)


def test_the_page_has_a_line_a_method_and_no_digits_of_what_is_exact():
    row = {"least of the laws (x)": 1.5, "laws": 3,
           "gap / the factorised network's": 1.1, "least gap / its": 0.9, "spectral gap": 0.25,
           "training seconds": 7.0}  # fmt: skip
    name = "closer than the factorised network (x)"
    rows = [{"method": m, "b": b, "TV": tv, name: closer, **row}
            for m, tv, closer in (("a", 0.02, 2.0), ("limit", 1e-15, "exact"))
            for b in (0.1, 0.3)]  # fmt: skip
    lines = "".join(pages.autoregressive(rows)).splitlines()
    cell = "0.0200, 2.00 (1.50) | 0.250 (1.10, 0.90)"
    assert f"| a | {cell} | {cell} | 7 |" in lines
    assert "| limit | exact | 0.250 (1.10, 0.90) | exact | 0.250 (1.10, 0.90) | 7 |" in lines
