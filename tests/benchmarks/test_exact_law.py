"""The benchmark of exact laws: its laws, its optima, its accounting, its table."""

import json

import pytest
import torch

import discrete_ca as dca
from benchmarks import exact_law, report
from benchmarks.laws import patch_law, random_law
from benchmarks.tabular import optimum, posterior
from discrete_ca.corruption import Absorbing, Uniform
from discrete_ca.diagnostics import exact


def tv(kernel, law, level):
    target = exact.noisy_law(law.p, kernel.corruption, law.shape, level)
    P = exact.transition_matrix(kernel, law.shape, level)
    return exact.total_variation(exact.stationary_distribution(P), target)


def test_the_patch_law_is_that_of_the_theory_page():
    # Section 7: the best denoiser's stationary TV and gap at b = 0.3, h = 0.5 and 0.8.
    law = patch_law()
    assert len(law.p) == 512 and float(law.p.min()) > 0
    for hold, wanted, gap in ((0.5, 0.0431, 0.0797), (0.8, 0.0158, 0.0336)):
        kernel = optimum(law, Uniform(2), 0.3, hold)
        P = exact.transition_matrix(kernel, law.shape, 0.3)
        assert tv(kernel, law, 0.3) == pytest.approx(wanted, rel=0.02)
        pi = exact.stationary_distribution(P)
        assert exact.spectral_gap(P, pi) == pytest.approx(gap, rel=0.02)


@pytest.mark.parametrize("noise", [Uniform, Absorbing])
def test_the_posterior_is_bayes_rule(noise):
    law = random_law(3, sites=2)
    q = noise(2).matrix(0.4)
    found = posterior(law, noise(2), 0.4)
    for i, x in enumerate(exact.states(noise(2).num_states, (2,))):
        joint = law.p.reshape(2, 2) * q[:, x[0]][:, None] * q[:, x[1]][None]
        torch.testing.assert_close(found[i, 0], joint.sum(1) / joint.sum())
        torch.testing.assert_close(found[i, 1], joint.sum(0) / joint.sum())


def test_the_optimum_of_contrastive_adjustment_beats_the_best_denoiser():
    # Section 7, uniform noise, b = 0.3, h = 0.8: several times closer.
    law = random_law(3, sites=3)
    denoiser = optimum(law, Uniform(2), 0.3, 0.8)
    adjusted = optimum(law, Uniform(2), 0.3, 0.8, denoising_weight=0.0, steps=300)
    assert tv(adjusted, law, 0.3) < tv(denoiser, law, 0.3) / 3


def test_evidence_is_added_by_the_kernel_and_one_denoiser_serves_all_holds():
    law, recipes = random_law(0), exact_law.RECIPES
    kernel = exact_law.make_kernel(
        law, exact_law.NOISES["uniform"], 0.5, recipes["denoising, evidence"]
    )
    assert kernel.add_evidence
    of_all = [name for name, recipe in recipes.items() if recipe.serves_all]
    assert of_all == ["denoising", "denoising, evidence", "default, one head for every hold"]


def test_costs_are_counted_in_passes():
    law = random_law(0)
    noise = exact_law.NOISES["uniform"]
    plain = exact_law.make_kernel(law, noise, 0.5, exact_law.RECIPES["denoising"])
    headed = exact_law.make_kernel(law, noise, 0.5, exact_law.RECIPES["default (adjustment head)"])

    def cost(kernel, objective, train=()):
        return exact_law.passes_a_step(kernel, dca.Phase(objective, train=train), law)

    ca = dca.ContrastiveAdjustment
    assert cost(plain, dca.Denoising()) == 3
    assert cost(plain, ca(denoising_weight=0.0)) == 4
    assert cost(plain, ca()) == 4 + 2 / 8
    head = cost(headed, ca(denoising_weight=0.0), ("adjustment",))
    assert 2 < head < 4


def test_samples_follow_the_law():
    # 32 cells, 200,000 draws: TV of a correct sampler is below 0.02 with probability 1 - 1e-9.
    law = random_law(1)
    x = law.sample(200_000, torch.Generator().manual_seed(0))
    counts = torch.bincount((x * 2 ** torch.arange(4, -1, -1)).sum(1), minlength=32)
    assert exact.total_variation(counts / counts.sum(), law.p) < 0.02


def test_the_table_pairs_methods_with_denoising():
    rows = []
    for seed, (base, ours) in enumerate([(0.2, 0.1), (0.3, 0.1), (0.4, 0.4)]):
        for method, found in (("denoising", base), ("ours", ours)):
            rows.append({"noise": "uniform", "law": "random", "seed": seed, "hold": 0.5,
                         "level": 0.3, "method": method, "tv": found, "gap": 0.1,
                         "metropolis_tv": 0.05, "metropolis_gap": 0.09,
                         "tv_at_nfe": 0.2})  # fmt: skip
    table = {row["method"]: row for row in exact_law.summarise(rows)}
    ours = table["ours"]
    assert ours["TV"] == 0.1 and ours["runs"] == 3
    assert ours["closer than denoising (x)"] == pytest.approx(2.0)
    assert ours["closer than denoising (x) quartiles"] == "1.50 to 2.50"
    assert ours["Metropolis TV"] == 0.05 and ours["Metropolis gap"] == 0.09
    assert ours["Metropolis closer than denoising (x)"] == pytest.approx(6.0)
    assert ours["Metropolis closer than denoising (x) quartiles"] == "5.00 to 7.00"
    assert ours["Metropolis closer than plain (x)"] == pytest.approx(2.0)
    assert ours["Metropolis closer than plain (x) quartiles"] == "2.00 to 5.00"


def test_metropolis_steps_of_the_best_denoiser_are_measured_as_such():
    law, uniform = random_law(3, sites=3), Uniform(2)
    kernel = optimum(law, uniform, 0.3, 0.5)
    plain = exact_law.evaluate(kernel, law, 0.3)
    refused = exact_law.evaluate_metropolis(kernel, law, 0.3)
    assert refused["metropolis_tv"] < plain["tv"] / 5
    assert refused["metropolis_gap"] < plain["gap"]
    masked = optimum(law, Absorbing(2), 0.3, 0.5)
    assert exact_law.evaluate_metropolis(masked, law, 0.3) == {}


def test_quick_form_writes_its_report(tmp_path, monkeypatch):
    monkeypatch.setattr(exact_law, "LEVELS", (0.3,))
    exact_law.main(["--quick", "--folder", str(tmp_path)])
    written = json.loads((tmp_path / "quick/exact_law.json").read_text())
    assert {row["method"] for row in written["rows"]} == {
        "denoising", "default (adjustment head)", "limit: denoising"
    }  # fmt: skip
    assert written["environment"]["torch"] == torch.__version__
    assert report.environment()["discrete_ca"] == dca.__version__
