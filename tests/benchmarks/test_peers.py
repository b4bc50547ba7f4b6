"""Other people's samplers against their papers' equations, by enumeration at D = 3 in float64."""

import json
import math
from functools import partial
from itertools import pairwise, product

import pytest
import torch

from benchmarks import pages
from benchmarks.laws import Law, random_law
from benchmarks.peers import cases, flow, networks, reference, samplers, schedulers
from benchmarks.peers import exact as peers_exact
from benchmarks.peers.training import Job
from discrete_ca.corruption import Absorbing, Uniform
from discrete_ca.diagnostics import exact
from tests.helpers import assert_counts, counts_of, seeded

SHAPE, K = (3,), 2
LEVELS = [1.0, 0.7, 0.25, 0.0]


def states(noise):
    return exact.states(noise(K).num_states, SHAPE)


def read_outs(noise, seed=0):
    """Some p(z|x) at every state, (V^D, D, K); revealed sites are known under absorbing noise."""
    x = states(noise)
    p = torch.rand(*x.shape, K, dtype=torch.float64, generator=seeded(seed)) + 0.05
    p = p / p.sum(-1, keepdim=True)
    if noise is Absorbing:
        known = torch.nn.functional.one_hot(x.clamp(max=K - 1), K).double()
        p = torch.where((x < K).unsqueeze(-1), known, p)
    return p


def matrix(step, p, noise):
    return exact.product_laws(step.law(p, states(noise)))


def by_hand(p, noise, site):
    """P(y|x) = sum over whole z of p(z|x) prod_i q(y_i | x_i, z_i), q given as a function."""
    x, values, p = states(noise).tolist(), noise(K).num_states, p.tolist()
    P = torch.zeros(len(x), len(x), dtype=torch.float64)
    for i, z, j in product(range(len(x)), product(range(K), repeat=3), range(len(x))):
        total = 1.0
        for d in range(3):
            total *= p[i][d][z[d]] * site(z[d], x[i][d], x[j][d], values)
        P[i, j] += total
    return P


def bayes(noise, t, s):
    """Eq. 3 of D3PM, from the chain's own transition: q(y|x, z) by Bayes' rule, in scalars."""
    forgotten = noise(K).matrix(1.0)[0].tolist()
    q_s, q_t = noise(K).matrix(s).tolist(), noise(K).matrix(t).tolist()

    def forward(y, x):  # one step of the forward chain, which forgets so much
        moved = 1 - (1 - t) / (1 - s)
        return (1 - moved) * (x == y) + moved * forgotten[x]

    def site(z, x, y, _):
        below = q_t[z][x]
        return q_s[z][y] * forward(y, x) / below if below > 0 else 0.0

    return site


@pytest.mark.parametrize("noise", [Uniform, Absorbing])
def test_d3pm_is_its_equation_3(noise):
    p = read_outs(noise)
    for step, (t, s) in zip(samplers.d3pm(noise(K), LEVELS), pairwise(LEVELS), strict=True):
        reached = states(noise)[:, 0] >= 0
        if t == 1 and noise is Absorbing:
            reached = (states(noise) == K).all(1)  # at level 1 all is masked
        found, wanted = matrix(step, p, noise)[reached], by_hand(p, noise, bayes(noise, t, s))
        torch.testing.assert_close(found, wanted[reached], atol=1e-12, rtol=0)


def test_equation_4_as_printed_differs_for_uniform_noise_alone():
    for noise in (Uniform, Absorbing):
        p = read_outs(noise)
        pairs = zip(
            samplers.d3pm(noise(K), LEVELS)[1:],
            samplers.d3pm(noise(K), LEVELS, joint=True)[1:],
            strict=True,
        )
        differ = [float((matrix(a, p, noise) - matrix(b, p, noise)).abs().max()) for a, b in pairs]
        assert (max(differ) > 0.01) == (noise is Uniform), differ


def test_mdlm_is_d3pm_with_absorbing_noise():
    p = read_outs(Absorbing)
    pairs = zip(samplers.mdlm(LEVELS), samplers.d3pm(Absorbing(K), LEVELS), strict=True)
    for ours, theirs in list(pairs)[1:]:
        torch.testing.assert_close(
            matrix(ours, p, Absorbing), matrix(theirs, p, Absorbing), atol=1e-12, rtol=0
        )


@pytest.mark.parametrize("sigma", [0.0, 0.1, 0.3])
def test_remasking_is_its_equation(sigma):
    t, s = 0.6, 0.3

    def site(z, x, y, values):
        mask = values - 1
        if x != mask:
            return (1 - sigma) * (y == x) + sigma * (y == mask)
        alpha_t, alpha_s = 1 - t, 1 - s
        shown = (alpha_s - (1 - sigma) * alpha_t) / (1 - alpha_t)
        return shown * (y == z) + (1 - alpha_s - sigma * alpha_t) / (1 - alpha_t) * (y == mask)

    p = read_outs(Absorbing)
    step = samplers.remasking(t, s, sigma)
    torch.testing.assert_close(
        matrix(step, p, Absorbing), by_hand(p, Absorbing, site), atol=1e-12, rtol=0
    )
    with pytest.raises(ValueError, match="sigma was 0.9"):
        samplers.remasking(t, s, 0.9)


def independent_law():
    """Three independent sites: the denoiser's factorised answer is then the whole posterior."""
    sites = torch.tensor([[[0.3, 0.7], [0.55, 0.45], [0.9, 0.1]]], dtype=torch.float64)
    return Law("independent", exact.product_laws(sites)[0], 2, SHAPE)


def linear(steps):
    return [1 - i / steps for i in range(steps + 1)]


SAMPLERS = {
    "d3pm": (Uniform, samplers.d3pm(Uniform(K), LEVELS)),
    "d3pm, absorbing": (Absorbing, samplers.d3pm(Absorbing(K), LEVELS)),
    "mdlm": (Absorbing, samplers.mdlm(LEVELS)),
    "remdm-cap": (Absorbing, samplers.capped(LEVELS, 0.2)),
    "remdm-cap, all that it may": (Absorbing, samplers.capped(LEVELS, 1.0)),
    "remdm-rescale": (Absorbing, samplers.rescaled(LEVELS, 0.7)),
    "remdm-loop": (Absorbing, samplers.remdm_loop(9, 0.1)),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_marginals_are_those_of_the_noise(name):
    # The theorem behind each: the state after a step has the noisy law of its level.
    noise, steps = SAMPLERS[name]
    law = independent_law()
    oracle = peers_exact.Oracle(law, noise(K))
    x, state = states(noise), exact.noisy_law(law.p, noise(K), SHAPE, 1.0)
    after = [step.level for step in steps[1:]] + [0.0]
    for step, level in zip(steps, after, strict=True):
        state = state @ exact.product_laws(step.law(oracle.probs(x, step.level), x))
        wanted = exact.noisy_law(law.p, noise(K), SHAPE, level)
        torch.testing.assert_close(state, wanted, atol=1e-12, rtol=0)


def test_the_loop_stands_still_while_it_remasks():
    steps = samplers.remdm_loop(100, 0.02)
    levels = [step.level for step in steps]
    still = [i for i, level in enumerate(levels) if abs(level - 0.1) < 1e-9]
    assert still == list(range(45, 96)) and levels[0] == 1.0
    p = read_outs(Absorbing)
    remasked = [
        float(step.law(p, states(Absorbing))[0, 0, K]) for step in steps
    ]  # state 0, 0, 0 has nothing masked
    assert [i for i, share in enumerate(remasked) if share > 0] == list(range(45, 95))


def flow_law(noise, steps, law, **settings):
    oracle = peers_exact.Oracle(law, noise(K))
    source = noise(K).matrix(1.0)[0]
    made = samplers.flow_euler(source, steps, **settings)
    start = exact.noisy_law(law.p, noise(K), SHAPE, 1.0)
    found, _ = samplers.final_law(made, oracle.probs, start, noise(K).num_states, SHAPE)
    return found[exact.index(exact.states(K, SHAPE), noise(K).num_states)]


@pytest.mark.parametrize("noise", [Uniform, Absorbing])
@pytest.mark.parametrize(("power", "free"), [(1.0, 0.0), (2.0, 1.5)])
def test_euler_steps_are_their_rates(noise, power, free):
    time, h, p = 0.5, 0.25, read_outs(noise)
    source = noise(K).matrix(1.0)[0]
    kappa, slope = time**power, power * time ** (power - 1)

    def site(z, x, y, values):
        rates = []
        for v in range(values):
            rate = slope / (1 - kappa) * (v == z)
            rate += free * (slope / (1 - kappa) * (v == z) + slope / kappa * float(source[v]))
            rates.append(0.0 if v == x else rate)
        total = sum(rates)
        jump = 1 - math.exp(-h * total)
        if y == x:
            return 1 - jump
        return jump * rates[y] / total if total else 0.0

    steps = samplers.flow_euler(source, 4, power, free)
    assert steps[2].level == 1 - kappa
    torch.testing.assert_close(
        matrix(steps[2], p, noise), by_hand(p, noise, site), atol=1e-12, rtol=0
    )
    torch.testing.assert_close(steps[3].law(p, states(noise))[..., :K], p)  # the last is z itself


def test_euler_steps_converge_with_their_number():
    law = independent_law()
    coarse, fine = (exact.total_variation(flow_law(Uniform, n, law), law.p) for n in (16, 64))
    assert fine < coarse / 2 < 0.05


@pytest.mark.skipif(not flow.installed(), reason=flow.MISSING)
@pytest.mark.parametrize("noise", [Uniform, Absorbing])
@pytest.mark.parametrize(("power", "free"), [(1.0, 0.0), (2.0, 1.0)])
def test_flow_matching_draws_from_the_law_of_its_equations(noise, power, free):
    law, steps, count = random_law(0, sites=3), 4, 20_000
    oracle = peers_exact.Oracle(law, noise(K))
    wanted = flow_law(noise, steps, law, power=power, divergence_free=free)
    x = noise(K).initial(count, SHAPE, seeded())
    with torch.random.fork_rng():
        torch.manual_seed(1)
        z = flow.draw_flow(oracle.probs, noise(K).matrix(1.0)[0], x, steps, power, free)
    assert_counts(counts_of(exact.index(z, K), K**3), wanted.clamp_min(0) / wanted.sum())


@pytest.mark.skipif(not schedulers.installed(), reason=schedulers.MISSING)
def test_vq_diffusion_of_diffusers_is_mdlm_with_even_levels():
    law, count, steps = random_law(0, sites=3), 20_000, 5
    oracle = peers_exact.Oracle(law, Absorbing(K))
    start = exact.noisy_law(law.p, Absorbing(K), SHAPE, 1.0)
    even = samplers.mdlm(linear(steps - 1))
    wanted, _ = samplers.final_law(even, oracle.probs, start, 3, SHAPE)
    x = Absorbing(K).initial(count, SHAPE)
    z = schedulers.draw_vq(oracle.probs, x, steps, seeded())
    assert_counts(counts_of(exact.index(z, 3), 27), wanted)


@pytest.mark.skipif(not schedulers.installed(), reason=schedulers.MISSING)
def test_amused_of_diffusers_ends_clean_and_is_exact_for_independent_sites():
    law, count = independent_law(), 20_000
    oracle = peers_exact.Oracle(law, Absorbing(K))
    x = Absorbing(K).initial(count, SHAPE)
    z = schedulers.draw_amused(oracle.probs, x, 1, generator=seeded())
    assert_counts(counts_of(exact.index(z, K), 8), law.p)
    assert int(schedulers.draw_amused(oracle.probs, x, 3, generator=seeded()).max()) < K


def test_draws_follow_the_enumerated_law_cached_or_not():
    law, count = random_law(0, sites=3), 20_000
    oracle = peers_exact.Oracle(law, Absorbing(K))
    steps = samplers.capped(linear(6), 0.1)
    start = exact.noisy_law(law.p, Absorbing(K), SHAPE, 1.0)
    found, _ = samplers.final_law(steps, oracle.probs, start, 3, SHAPE)
    plain = samplers.mdlm(linear(6))
    law_of_plain, changes = samplers.final_law(plain, oracle.probs, start, 3, SHAPE)
    x = Absorbing(K).initial(count, SHAPE)
    z = samplers.draw(steps, oracle.probs, x, seeded())
    assert_counts(counts_of(exact.index(z, 3), 27), found)
    z, evaluations = samplers.draw_cached(plain, oracle.probs, x, seeded())
    assert_counts(counts_of(exact.index(z, 3), 27), law_of_plain)
    assert evaluations == pytest.approx(1 + changes, abs=0.05)
    assert 1 + changes < 3  # never more than sites


def test_cached_steps_keep_to_their_evaluations():
    law = random_law(0, sites=3)
    oracle = peers_exact.Oracle(law, Absorbing(K))
    start = exact.noisy_law(law.p, Absorbing(K), SHAPE, 1.0)
    steps = samplers.cached_steps(3, 3, most=64)
    _, changes = samplers.final_law(samplers.mdlm(linear(steps)), oracle.probs, start, 3, SHAPE)
    assert steps > 3 and 2 < 1 + changes <= 3


def test_one_site_a_step_is_exact_for_masked_samplers_alone():
    # The reason for which masked samplers win on small laws with an exact denoiser.
    subject = peers_exact.Subject(random_law(0, sites=3))
    masked = partial(peers_exact.peer, "absorbing", lambda _, n: samplers.mdlm(linear(n)), True)
    uniform = partial(
        peers_exact.peer, "uniform", lambda noise, n: samplers.d3pm(noise, linear(n)), False
    )
    (found, used), (other, _) = masked(subject, 8), uniform(subject, 64)
    assert used < 3.001
    assert exact.total_variation(found, subject.law.p) < 2e-3
    assert exact.total_variation(other, subject.law.p) > 5e-3


@pytest.mark.parametrize(("b_x", "b_y", "agree"), [(0.5, 0.5, True), (0.5, 0.3, False)])
def test_the_authors_kernel_is_ours_where_it_keeps_its_marginal(b_x, b_y, agree):
    found = reference.compared(0.95, b_x, b_y, seed=0)
    assert (found["largest difference"] < 1e-12) == agree
    assert found["masked, ours"] == pytest.approx(b_y, abs=1e-12)
    assert found["masked, Eq. 27"] == pytest.approx(max(b_y, 0.95 * b_x), abs=1e-12)


def test_the_authors_draw_follows_their_formula():
    x = torch.tensor([0, 1, 2]).repeat(20_000)[:, None]
    logits = torch.tensor([0.3, 0.7]).log().expand(len(x), 1, 2)
    y = reference.reference_draw(logits, x, 0.8, 0.6, 0.55, seeded())
    probs = reference.reference_probs(logits.exp().double(), x, 0.8, 0.6, 0.55)[:3, 0]
    for state in range(3):
        assert_counts(counts_of(y[x == state], 3), probs[state] / probs[state].sum())


def test_the_quick_forms_of_networks_and_the_reference_write_their_rows(tmp_path, capsys):
    networks.main(["--quick", "--no-head", "--folder", str(tmp_path)])
    folder = tmp_path / "quick"
    rows = json.loads((folder / "peers.networks.json").read_text(encoding="utf-8"))["rows"]
    assert rows[0]["sampler"] == "real data"
    asked = [row for row in rows[1:] if "Frechet" in row]
    assert len(asked) == 10 + 2 * flow.installed() + schedulers.installed()
    assert all(row["Frechet"] > 0 and 1 < row["NFE"] <= 8 for row in asked)
    assert {row["setting"] for row in rows[1:] if "Frechet" not in row} <= {
        flow.MISSING,
        schedulers.MISSING,
    }
    page = "".join(pages.peers_networks(rows))
    assert page.count("/s;") == len(asked)
    reference.main(["--quick", "--folder", str(tmp_path)])
    assert (folder / "peers.reference.json").exists()


def test_shapes_are_measured_by_their_pixels():
    measures = cases.CASES["colour"].measures(200)
    real = measures.looks(measures.real)
    assert real["whole shapes"] == 1 and 0 < real["Frechet"] < 1
    noise = measures.looks(torch.randint(16, (200, 3, 8, 8), generator=seeded()))
    assert noise["whole shapes"] == 0 and noise["Frechet"] > 5
    row = {
        "data": "colour",
        "sampler": "real data",
        "at most NFE": "",
        "budget (steps)": "",
        **real,
    }
    asked = {**row, "sampler": "a", "budget (steps)": 4, "at most NFE": 8, "NFE": 8, "setting": "s"}
    page = "".join(pages.peers_networks([row, {**asked, "samples a second": 3.0}]))
    assert "| real data | 0." in page and "100% whole (3/s; s) |" in page


def test_levels_become_ink_at_the_threshold():
    grey, binary = (cases.CASES[name] for name in ("mnist16", "binarized-mnist"))
    measures = grey.measures(20, most=100)
    z = measures.real
    assert z.max() == 15 and measures.looks(z) == measures.looks((z >= 8).long() * 15)
    assert measures.looks(z) != measures.looks((z >= 4).long() * 15)
    assert set(binary.measures(20, most=100).looks((z >= 8).long())) == set(measures.looks(z))


def test_settings_are_chosen_beside_training_digits_and_measured_beside_test_digits():
    measures = cases.CASES["binarized-mnist"].measures(20, most=100)
    trained_on = cases.examples("binarized_mnist")[torch.arange(100)]
    assert measures.tuning_distance(trained_on) == pytest.approx(0, abs=1e-6)
    assert measures.looks(trained_on)["Frechet"] > 0.1


def test_a_network_of_another_seed_or_for_holds_is_another_job():
    first = Job("moby-characters", "uniform", 2, head=True)
    other = first._replace(seed=1, holds=(0.4, 0.9))
    assert (
        len({first.name, first._replace(seed=1).name, first._replace(holds=(0.4, 0.9)).name}) == 3
    )
    assert (first.config(True).train.seed, other.config(True).train.seed) == (0, 1)
    assert (first.config(True).recipe.holds, other.config(True).recipe.holds) == (None, (0.4, 0.9))


def test_a_package_that_is_missing_is_a_line_of_the_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(flow, "installed", lambda: False)
    monkeypatch.setattr(
        networks, "peers", lambda: iter([networks.Sampler("flow-matching", "", [])])
    )
    monkeypatch.setattr(networks, "chains", lambda head: iter(()))
    rows = networks.main(["--quick", "--folder", str(tmp_path)])["rows"]
    assert rows[1]["setting"] == "flow-matching is not installed"
    assert "| flow-matching | flow-matching is not installed |" in "".join(
        pages.peers_networks(rows)
    )


def test_the_quick_form_writes_a_row_for_each_sampler(tmp_path, capsys):
    peers_exact.main(["--quick", "--folder", str(tmp_path)])
    written = json.loads((tmp_path / "quick" / "peers.exact.json").read_text(encoding="utf-8"))
    names = {row["sampler"] for row in written["rows"]}
    assert names == {name for name, _ in peers_exact.choices()}
    assert all(0 <= row["TV"] <= 1 and row["NFE"] <= row["at most NFE"] for row in written["rows"])
