"""Running a kernel: costs, schedules, reproducibility, and inpainting against the exact law."""

from __future__ import annotations

import math

import pytest
import torch
from rich.progress import Progress

import discrete_ca as dca
from discrete_ca import (
    CategoricalNoiseKernel,
    GaussianNoiseKernel,
    RunInfo,
    TransitionKernel,
    chains,
)
from discrete_ca.corruption import Absorbing, Matrix, Ordinal, Uniform
from discrete_ca.diagnostics import exact
from discrete_ca.distributions import Categorical, Transition
from tests.helpers import (
    FAMILIES,
    SHAPES,
    Counting,
    Fixed,
    InformedPosterior,
    Posterior,
    Smooth,
    Told,
    assert_counts,
    code,
    counts_of,
    f64,
    random_law,
    seeded,
    stochastic,
)


def kernel_of(name="uniform-2", net=Smooth, hold=0.6, **options):
    family = FAMILIES[name]
    net = net(family.num_categories, family.num_states)
    return CategoricalNoiseKernel(net, family, hold, **options)


def counting_kernel(name="uniform-2"):
    kernel = kernel_of(name)
    kernel.net = Counting(kernel.net)
    return kernel


class NoReadOut(TransitionKernel):
    """A user's kernel: redraws every site, starts anywhere, has no read-out."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def transition(self, x, level, target_level=None, label=None, known=None):
        self.seen.append((level, target_level))
        return Categorical(torch.zeros(*x.shape, 3).log_softmax(-1))

    def initial(self, count, shape, generator=None, device="cpu"):
        return torch.zeros(count, *shape).long()


# -- schedules -------------------------------------------------------------------------------------


@pytest.mark.parametrize("moves", [1, 2, 7, 32])
@pytest.mark.parametrize("lowest", [0.0, 0.02, 0.5, 1.0])
def test_schedules_fall_from_1_to_the_lowest(moves, lowest):
    for schedule in (chains.cosine_levels, chains.linear_levels):
        levels = schedule(moves, lowest)
        assert len(levels) == moves + 1
        assert levels[0] == 1.0
        assert levels[-1] == pytest.approx(lowest, abs=1e-15)
        assert levels == sorted(levels, reverse=True)
        assert all(0 <= b <= 1 for b in levels)
    for i in range(moves + 1):
        shape = (1 + math.cos(math.pi * i / moves)) / 2
        cosine, linear = chains.cosine_levels(moves, lowest), chains.linear_levels(moves, lowest)
        assert cosine[i] == pytest.approx(lowest + (1 - lowest) * shape, abs=1e-12)
        assert linear[i] == pytest.approx(1 - (1 - lowest) * i / moves, abs=1e-12)


@pytest.mark.parametrize("moves", [0, -1, 1.5])
def test_schedules_need_a_move(moves):
    for schedule in (chains.cosine_levels, chains.linear_levels):
        with pytest.raises(ValueError, match=f"moves was {moves}; allowed: a whole number >= 1"):
            schedule(moves)


# -- stationary runs -------------------------------------------------------------------------------


def test_a_run_is_lazy_and_costs_one_evaluation_a_state():
    kernel = counting_kernel()
    states = chains.run(kernel, torch.zeros(3, 4).long(), 0.5, steps=5)
    assert kernel.net.calls == 0
    next(states)
    assert kernel.net.calls == 1
    assert len(list(states)) == 4
    assert (kernel.net.calls, kernel.net.examples) == (5, 15)
    assert kernel.net.levels == [0.5] * 5


def test_a_run_without_an_end_goes_on():
    kernel = counting_kernel()
    states = chains.run(kernel, torch.zeros(1, 2).long(), 0.5)
    for _ in range(50):
        state = next(states)
    assert kernel.net.calls == 50 and state.shape == (1, 2)
    assert list(chains.run(kernel, torch.zeros(1, 2).long(), 0.5, steps=0)) == []


def test_a_run_steps_the_kernel():
    kernel, x = kernel_of(), torch.zeros(4, 5).long()
    found = list(chains.run(kernel, x, 0.4, 6, generator=seeded(0)))
    g = seeded(0)
    for state in found:
        x = kernel.transition(x, 0.4).sample(g)
        assert torch.equal(state, x)
    assert not found[0].requires_grad


def test_a_run_leaves_gradients_of_its_caller_on():
    for _ in chains.run(kernel_of(), torch.zeros(1, 2).long(), 0.5, 2):
        assert torch.is_grad_enabled()


def test_a_run_passes_labels_and_known_sites_on():
    kernel = kernel_of(net=Told)
    mask, values = torch.tensor([True, False]), torch.tensor([0, 1])
    label, x = torch.tensor([1, 2, 3]), torch.zeros(3, 2).long()
    g = seeded(1)
    expected = kernel.transition(x, 0.4, label=label, known=(mask, values)).sample(g)
    (found,) = chains.run(kernel, x, 0.4, 1, label=label, known=(mask, values), generator=seeded(1))
    assert torch.equal(found, expected) and bool((found[:, 1] == 1).all())


def test_one_label_stands_for_all_wherever_labels_are_taken():
    kernel, x = kernel_of(net=Told), torch.zeros(3, 4).long()
    every = torch.full((3,), 2)

    def of(label):
        given = {"label": label, "generator": seeded(2)}
        return [
            next(chains.run(kernel, x, 0.4, 1, **given)),
            chains.read_out(kernel, x, 0.4, draw=True, **given),
            chains.sample(kernel, 3, (4,), moves=2, **given),
            chains.variants(kernel, x[0], n=3, steps=2, **given),
            chains.inpaint(kernel, x[0], x[0] == 0, n=3, moves=2, **given),
            kernel.transition(x, 0.4, label=label).probs(),
            dca.Denoising()(kernel, x, **given),
        ]

    for label in (2, torch.tensor(2), torch.tensor(2, dtype=torch.int32)):
        assert all(torch.equal(a, b) for a, b in zip(of(label), of(every), strict=True))
    for function in (chains.run, chains.read_out):
        with pytest.raises(TypeError, match="label has dtype torch.float32; allowed: whole num"):
            function(kernel, x, 0.4, label=torch.ones(3))
    with pytest.raises(TypeError, match="label has dtype torch.float32; allowed: whole numbers"):
        kernel.transition(x, 0.4, label=torch.ones(3))
    with pytest.raises(TypeError, match="label has dtype torch.float32; allowed: whole numbers"):
        dca.Denoising()(kernel, x, label=torch.ones(3))


class Watched(CategoricalNoiseKernel):
    """Remembers the conditions of every step."""

    def transition(self, x, level, target_level=None, label=None, known=None, hold=None):
        self.seen = [*getattr(self, "seen", []), (label, known, hold)]
        return super().transition(x, level, target_level, label, known, hold)


@pytest.mark.parametrize("chunk", [1, 2, 4, 256])
def test_labels_and_holds_of_each_variant_go_with_their_chunk(chunk):
    label, hold = torch.arange(4), torch.tensor([0.0, 0.25, 0.5, 1.0])
    z = torch.zeros(3).long()
    mask = torch.tensor([True, True, False])
    for function, more in (
        (chains.variants, {"steps": 1}),
        (chains.inpaint, {"mask": mask, "moves": 1}),
    ):
        kernel = Watched(Told(2, 2), Uniform(2))
        function(kernel, z, n=4, label=label, hold=hold, chunk=chunk, **more)
        steps = len(kernel.seen) // -(-4 // chunk)
        for i, part in ((0, label), (2, hold)):
            for first in range(steps):
                found = torch.cat([told[i] for told in kernel.seen[first::steps]])
                assert torch.equal(found, part)
    present = lengths(1, 2, 3, 2, most=3)
    values = torch.ones(4, 3).long()
    found = chains.variants(kernel, z, n=4, steps=1, known=(present, values), chunk=chunk)
    assert torch.equal(found[~present], values[~present])


BAD = [
    (lambda k, x: chains.run(k, x, 0.3, -1), ValueError, "steps was -1; allowed: a whole number"),
    (lambda k, x: chains.run(k, x, 0.3, 1.5), ValueError, "steps was 1.5; allowed: a whole number"),
    (lambda k, x: chains.run(k, x, 0.3, known=x[0] == 0), TypeError, "known was a Tensor; allowed"),
    (lambda k, x: chains.run(k, x.numpy(), 0.3), TypeError, "x was a ndarray; allowed: a torch.T"),
    (lambda k, x: chains.run(k, x, 0.3, hold="a"), TypeError, "hold was 'a'; allowed: a number"),
    (lambda k, x: chains.run(k, x, 0.3, hold=1.5), ValueError, r"hold was 1.5; allowed: \[0, 1\]"),
    (lambda k, x: next(chains.run(k, x, "0.3")), TypeError, "level was '0.3'; allowed: a number"),
    (lambda k, x: next(chains.run(k, x[:0], 0.3)), ValueError, r"x has shape \(0, 4\); allowed: a"),
    (
        lambda k, x: next(chains.run(k, x, 0.3, generator=0)),
        TypeError,
        "generator was 0; allowed: a torch.Generator or None",
    ),
    (lambda k, x: k.transition(x[:0], 0.3), ValueError, "allowed: at least one example"),
    (lambda k, x: k.transition(x, "0.3"), TypeError, "level was '0.3'; allowed: a number"),
    (lambda k, x: dca.Denoising()(k, x.numpy()), TypeError, "z was a ndarray; allowed"),
    (lambda k, x: dca.Denoising()(k, x[:0]), ValueError, "allowed: at least one example"),
    (lambda k, x: chains.sample(k, 2, (4,), levels=(1, "a")), TypeError, "levels was 'a'"),
    (lambda k, x: chains.sample(k, 2, (4,), lowest=-0.1), ValueError, "lowest was -0.1"),
    (lambda k, x: chains.sample(k, 2, (4,), generator=0), TypeError, "generator was 0; allowed"),
    (lambda k, x: chains.variants(k, x[0].numpy()), TypeError, "z was a ndarray; allowed"),
    (lambda k, x: chains.variants(k, x[0], level="0.3"), TypeError, "level was '0.3'; allowed"),
    (lambda k, x: chains.inpaint(k, x[0].numpy(), x[0] == 0), TypeError, "z was a ndarray; allow"),
    (lambda k, x: chains.inpaint(k, x[0], [True] * 4), TypeError, "mask was a list; allowed: a to"),
]


@pytest.mark.parametrize(("use", "error", "message"), BAD)
def test_bad_arguments_are_refused_by_name(use, error, message):
    with pytest.raises(error, match=message):
        use(kernel_of(), torch.zeros(2, 4).long())


def test_a_gaussian_draw_names_a_bad_generator():
    kernel = GaussianNoiseKernel(dca.nn.MLP(2, None, shape=(2,)), hold=0.5)
    with pytest.raises(TypeError, match="generator was 0; allowed: a torch.Generator or None"):
        kernel.transition(torch.zeros(1, 2), 0.3).sample(0)
    with pytest.raises(ValueError, match=r"x has shape \(0, 2\); allowed: at least one example"):
        kernel.transition(torch.zeros(0, 2), 0.3)


def test_a_run_follows_the_matrix_of_the_kernel():
    """The law after 3 steps from one state; chi-square at a false-alarm rate of 1e-6."""
    kernel = kernel_of("absorbing-2", carry_over=False)
    P = exact.transition_matrix(kernel, (2,), 0.4)
    x = torch.tensor([[0, 2]]).expand(20_000, -1)
    *_, last = chains.run(kernel, x, 0.4, 3, generator=seeded(2))
    start = int(code(x[:1], 3))
    assert_counts(counts_of(code(last, 3), 9), torch.linalg.matrix_power(P, 3)[start])


# -- read-outs -------------------------------------------------------------------------------------


def test_read_outs():
    kernel, x = kernel_of("uniform-5"), torch.randint(0, 5, (3, 4), generator=seeded(3))
    law = kernel.transition(x, 0.3).read_out
    assert torch.equal(chains.read_out(kernel, x, 0.3), law.mode())
    drawn = chains.read_out(kernel, x, 0.3, draw=True, generator=seeded(4))
    assert torch.equal(drawn, law.sample(seeded(4)))
    known = (torch.tensor([True, True, False, True]), torch.tensor([0, 0, 4, 0]))
    for draw in (False, True):
        found = chains.read_out(kernel, x, 0.3, draw=draw, known=known)
        assert bool((found[:, 2] == 4).all())
    assert torch.equal(chains.read_out(NoReadOut(), x, 0.3), x)


class Forgetful(Categorical, Transition):
    """A user's law that knows nothing of known sites."""

    @property
    def read_out(self):
        return self


def test_a_read_out_that_ignores_known_sites_is_put_right():
    kernel = NoReadOut()
    law = Forgetful(torch.tensor([[[0.0, -math.inf, -math.inf]] * 3]))
    kernel.transition = lambda *_, **__: law
    known = (torch.tensor([True, False, True]), torch.tensor([1, 2, 1]))
    for draw in (False, True):
        found = chains.read_out(kernel, torch.zeros(1, 3).long(), 0.3, draw=draw, known=known)
        assert found.tolist() == [[0, 2, 0]]


def test_a_read_out_passes_labels_on():
    kernel, x, label = kernel_of(net=Told), torch.zeros(3, 4).long(), torch.tensor([-9, 0, 9])
    expected = kernel.transition(x, 0.3, label=label).read_out.mode()
    assert torch.equal(chains.read_out(kernel, x, 0.3, label=label), expected)


# -- annealed sampling -----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["uniform-2", "absorbing-4", "ordinal-3", "matrix-callable"])
def test_samples_of_any_rank_are_clean(name, shape):
    kernel = kernel_of(name)
    z = chains.sample(kernel, 3, shape, moves=3, generator=seeded(5))
    assert z.shape == (3, *shape) and z.dtype == torch.long
    assert 0 <= int(z.min()) and int(z.max()) < kernel.corruption.num_categories


@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
@pytest.mark.parametrize("correctors", [0, 2])
@pytest.mark.parametrize("moves", [1, 4])
def test_the_cost_that_is_reported_is_the_cost(moves, correctors, chunk):
    kernel = counting_kernel()
    z, info = chains.sample(
        kernel, 7, (3,), moves=moves, correctors=correctors, chunk=chunk, return_info=True
    )
    assert z.shape == (7, 3)
    assert info.nfe == moves * (1 + correctors) + 1
    assert kernel.net.examples == 7 * info.nfe
    assert kernel.net.calls == math.ceil(7 / chunk) * info.nfe
    assert info.levels == chains.cosine_levels(moves)


def test_an_annealed_run_visits_its_levels():
    """Moves start at the level before; correctors and the read-out are at the level after."""
    kernel = counting_kernel()
    levels = [1.0, 0.5, 0.25]
    chains.sample(kernel, 2, (3,), levels=levels, correctors=2)
    assert kernel.net.levels == [1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]
    own = NoReadOut()
    chains.sample(own, 2, (3,), levels=levels, correctors=1)
    assert own.seen == [(1.0, 0.5), (0.5, None), (0.5, 0.25), (0.25, None), (0.25, None)]


def test_the_default_is_32_moves_with_one_corrector():
    kernel = counting_kernel()
    _, info = chains.sample(kernel, 1, (2,), return_info=True)
    assert info == RunInfo(65, chains.cosine_levels(32, 0.02))
    _, info = chains.sample(kernel, 1, (2,), moves=4, lowest=0.25, return_info=True)
    assert info.levels == chains.cosine_levels(4, 0.25)


def test_seeds_reproduce_samples():
    kernel = kernel_of("ordinal-3")
    given = torch.tensor([0, 1, 2])
    first, again, other = (
        chains.sample(kernel, 20, (5,), moves=4, draw=True, chunk=8, generator=seeded(s))
        for s in (6, 6, 7)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    mask = torch.tensor([True, False, True])
    for function, inputs in [(chains.variants, (given,)), (chains.inpaint, (given, mask))]:
        first, again, other = (
            function(kernel, *inputs, n=20, chunk=8, generator=seeded(s)) for s in (6, 6, 7)
        )
        assert torch.equal(first, again) and not torch.equal(first, other)


def test_labels_belong_to_their_samples():
    """Chunks take their own labels: a label that forces the category is found in its sample."""

    class Labelled(Fixed):
        def forward(self, x, b, label=None):
            wanted = torch.nn.functional.one_hot(label, 3).double() * 60
            return wanted.reshape(len(x), *(1,) * (x.ndim - 1), 3).expand(*x.shape, 3)

    kernel = CategoricalNoiseKernel(Labelled(None), Uniform(3), 0.5)
    label = torch.tensor([0, 1, 2, 2, 1, 0, 1])
    z = chains.sample(kernel, 7, (4,), moves=3, label=label, chunk=3)
    assert torch.equal(z, label[:, None].expand(7, 4))
    z = chains.variants(kernel, torch.zeros(4).long(), n=5, steps=2, label=torch.tensor(2), chunk=2)
    assert bool((z == 2).all())
    mask = torch.tensor([True, True, False, True])
    z = chains.inpaint(kernel, torch.zeros(4).long(), mask, n=5, moves=2, label=torch.tensor(1))
    assert z.tolist() == [[1, 1, 0, 1]] * 5


def test_a_kernel_without_a_read_out_gives_its_states():
    z = chains.sample(NoReadOut(), 5, (4,), moves=2, generator=seeded(8))
    assert z.shape == (5, 4) and len(z.unique()) == 3


def test_samples_of_a_gaussian_kernel():
    kernel = GaussianNoiseKernel(Fixed(torch.tensor([2.0, -5.0])))
    z, info = chains.sample(kernel, 6, (3, 2), moves=4, return_info=True, generator=seeded(9))
    assert z.shape == (6, 3, 2) and info.nfe == 9
    assert torch.equal(z, torch.full((6, 3, 2), 2.0))


def test_noise_that_does_not_forget_has_no_start():
    kernel = CategoricalNoiseKernel(Smooth(4, 4), Matrix(stochastic(4, 4, 0)))
    for start in (
        lambda: chains.sample(kernel, 2, (3,)),
        lambda: chains.inpaint(kernel, torch.zeros(3).long(), torch.ones(3).bool()),
    ):
        with pytest.raises(ValueError, match="Matrix does not forget z at level 1"):
            start()
    # From data it runs.
    assert chains.variants(kernel, torch.zeros(3).long(), n=2, steps=2).shape == (2, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 0}, "count was 0; allowed: a whole number >= 1"),
        ({"moves": 0}, "moves was 0; allowed: a whole number >= 1"),
        ({"correctors": -1}, "correctors was -1; allowed: a whole number >= 0"),
        ({"chunk": 0}, "chunk was 0; allowed: a whole number >= 1"),
        ({"levels": [1.0]}, r"levels was \[1.0\]; allowed: at least two numbers in \[0, 1\]"),
        ({"levels": [1.0, -0.1]}, r"levels was \[1.0, -0.1\]"),
        ({"levels": [1.5, 0.5]}, r"levels was \[1.5, 0.5\]"),
        ({"levels": [1.0, math.nan]}, r"levels was \[1.0, nan\]"),
        ({"lowest": -0.1}, "lowest was -0.1; allowed"),
        ({"lowest": 1.1}, "lowest was 1.1; allowed"),
    ],
)
def test_arguments_of_samples_are_checked(change, message):
    with pytest.raises(ValueError, match=message):
        chains.sample(kernel_of(), **{"count": 2, "shape": (3,), "moves": 2, **change})


# -- variants --------------------------------------------------------------------------------------


def test_variants_by_hand():
    kernel, z = kernel_of("ordinal-3"), torch.tensor([0, 1, 2, 1])
    found, info = chains.variants(
        kernel, z, n=5, level=0.3, steps=4, generator=seeded(10), return_info=True
    )
    g = seeded(10)
    x = kernel.corrupt(z.expand(5, 4), 0.3, g)
    for _ in range(4):
        x = kernel.transition(x, 0.3).sample(g)
    assert torch.equal(found, kernel.transition(x, 0.3).read_out.mode())
    assert info == RunInfo(5, [0.3])


class Recorder(Told):
    """Keeps what it was given."""

    def forward(self, x, b, label=None, known=None):
        self.given = [*getattr(self, "given", []), (x, label, known)]
        return super().forward(x, b, label, known)


def test_variants_and_inpainting_tell_the_network_what_is_known_at_every_step():
    kernel, z, label = kernel_of(net=Recorder), torch.tensor([0, 1, 1, 0]), torch.tensor(2)
    mask = torch.tensor([True, False, True, True])
    chains.variants(kernel, z, n=5, level=0.5, steps=3, known=(mask, z), label=label)
    chains.inpaint(kernel, z, mask, n=5, moves=2, correctors=1, label=label)
    assert len(kernel.net.given) == 4 + 5
    for x, labels, known in kernel.net.given:
        assert bool((x[:, 1] == 1).all())
        assert labels.tolist() == [2] * 5
        assert torch.equal(known, mask.expand(5, 4))


@pytest.mark.parametrize("chunk", [2, 100])
@pytest.mark.parametrize("steps", [0, 3])
def test_variants_cost_what_they_say(steps, chunk):
    kernel = counting_kernel()
    z, info = chains.variants(
        kernel, torch.zeros(3).long(), n=5, steps=steps, chunk=chunk, return_info=True
    )
    assert z.shape == (5, 3)
    assert info.nfe == steps + 1 and kernel.net.examples == 5 * info.nfe


def test_variants_at_level_0_are_the_design():
    kernel = kernel_of("absorbing-2", carry_over=True)
    z = torch.tensor([[0, 1], [1, 1]])
    found = chains.variants(kernel, z, n=4, level=0.0, steps=3)
    assert torch.equal(found, z.expand(4, 2, 2))


def test_variants_keep_known_sites():
    kernel, z = kernel_of("uniform-5"), torch.tensor([[4, 3, 2], [1, 0, 4]])
    mask = torch.tensor([[True, False, True], [False, True, True]])
    for draw in (False, True):
        found = chains.variants(
            kernel, z, n=30, level=0.9, steps=3, known=(mask, z), draw=draw, generator=seeded(11)
        )
        assert bool((found[:, ~mask] == z[~mask]).all())
        assert not bool((found[:, mask] == z[mask]).all())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 0}, "n was 0; allowed: a whole number >= 1"),
        ({"steps": -1}, "steps was -1; allowed: a whole number >= 0"),
        ({"level": 1.5}, "level was 1.5"),
        ({"chunk": 0}, "chunk was 0"),
        ({"z": torch.tensor([0, 2])}, r"z holds values in \[0, 2\]; allowed: 0 .. 1"),
    ],
)
def test_arguments_of_variants_are_checked(change, message):
    with pytest.raises(ValueError, match=message):
        chains.variants(kernel_of(), **{"z": torch.zeros(3).long(), **change})


# -- padding ---------------------------------------------------------------------------------------


def lengths(*sizes, most=5):
    return torch.arange(most) < torch.tensor(sizes)[:, None]


@pytest.mark.parametrize("name", ["uniform-5", "absorbing-4", "ordinal-16", "matrix-callable"])
@pytest.mark.parametrize("adjusted", [False, True])
def test_no_step_touches_padding(name, adjusted, monkeypatch):
    k = FAMILIES[name].num_categories
    head = dca.nn.AdjustmentHead(k, dims=1, width=4) if adjusted else None
    kernel = kernel_of(name, adjustment=head).double()
    present, values = lengths(5, 3, 1), torch.full((3, 5), k - 1)
    seen, transition = [], kernel.transition

    def watched(x, *args, **kwargs):
        seen.append(kwargs["known"])
        step = transition(x, *args, **kwargs)
        assert torch.equal(step.sample(seeded(1))[~present], values[~present])
        assert torch.equal(step.read_out.sample(seeded(1))[~present], values[~present])
        return step

    monkeypatch.setattr(kernel, "transition", watched)
    z = chains.sample(kernel, 3, (5,), moves=3, known=(present, values), generator=seeded(2))
    assert torch.equal(z[~present], values[~present])
    assert len(seen) == 7 and all(pair is not None for pair in seen)


@pytest.mark.parametrize("chunk", [1, 2, 256])
def test_each_sample_has_its_own_known_sites(chunk):
    present = lengths(2, 5, 0, 4, 1)
    values = torch.arange(25).reshape(5, 5) % 2
    z = chains.sample(kernel_of(), 5, (5,), moves=2, known=(present, values), chunk=chunk)
    assert torch.equal(z[~present], values[~present])
    one = chains.sample(kernel_of(), 5, (5,), moves=2, known=(present[0], values[0]), chunk=chunk)
    assert torch.equal(one[:, 2:], values[0, 2:].expand(5, 3))


def test_known_sites_that_do_not_fit_the_samples_are_refused():
    pair = (torch.ones(2, 5).bool(), torch.zeros(5).long())
    with pytest.raises(ValueError, match=r"known mask has shape \(2, 5\); allowed: \(3, 5\)"):
        chains.sample(kernel_of(), 3, (5,), moves=2, known=pair)


def test_a_mask_over_padding_is_refused():
    z, present = torch.tensor([0, 1, 1, 1, 1]), lengths(3)[0]
    mask = torch.tensor([True, True, False, False, False])
    found = chains.inpaint(kernel_of(), z, mask, present=present, n=4, moves=2)
    assert torch.equal(found[:, 2:], z[2:].expand(4, 3))
    with pytest.raises(ValueError, match="mask has 2 sites of padding; allowed: sites of present"):
        chains.inpaint(kernel_of(), z, torch.ones(5).bool(), present=present, moves=2)
    with pytest.raises(ValueError, match=r"present has shape \(4,\)"):
        chains.inpaint(kernel_of(), z, mask, present=present[:4], moves=2)


# -- inpainting ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES[1:])
@pytest.mark.parametrize("draw", [False, True])
@pytest.mark.parametrize("name", ["uniform-5", "absorbing-4", "ordinal-16", "matrix-callable"])
def test_known_sites_come_back_bit_for_bit(name, draw, shape):
    kernel = kernel_of(name, carry_over=draw)
    z = torch.randint(0, kernel.corruption.num_categories, shape, generator=seeded(12))
    mask = torch.rand(shape, generator=seeded(13)) < 0.5
    for n, chunk in [(1, 256), (7, 3)]:
        found = chains.inpaint(
            kernel, z, mask, n=n, moves=3, draw=draw, chunk=chunk, generator=seeded(14)
        )
        assert found.shape == (n, *shape) and found.dtype == torch.long
        assert bool((found[:, ~mask] == z[~mask]).all())


def test_known_sites_of_a_gaussian_come_back_bit_for_bit():
    kernel = GaussianNoiseKernel(Fixed(torch.tensor([0.3, -1.0])))
    z, mask = torch.randn(4, 5, generator=seeded(15)), torch.rand(4, 5, generator=seeded(16)) < 0.5
    found = chains.inpaint(kernel, z, mask, n=3, moves=3, draw=True)
    assert torch.equal(found[:, ~mask], z[~mask].expand(3, -1))
    assert not bool((found[:, mask] == z[mask]).any())


def test_inpainting_everything_or_nothing():
    kernel, z = kernel_of("uniform-2"), torch.tensor([1, 0, 1])
    nothing = chains.inpaint(kernel, z, torch.zeros(3).bool(), n=3, moves=2)
    assert torch.equal(nothing, z.expand(3, 3))
    everything = chains.inpaint(
        kernel, z, torch.ones(3).bool(), n=40, moves=3, draw=True, generator=seeded(17)
    )
    sampled = chains.sample(kernel, 40, (3,), moves=3, draw=True, generator=seeded(17))
    assert torch.equal(everything, sampled)


def test_values_at_generated_sites_are_ignored():
    kernel, mask = kernel_of("uniform-2"), torch.tensor([True, False, True])
    pair = (
        chains.inpaint(kernel, torch.tensor(z), mask, n=9, moves=3, draw=True, generator=seeded(18))
        for z in ([0, 1, 0], [99, 1, -7])
    )
    assert torch.equal(*pair)


def test_inpainting_costs_what_it_says():
    kernel = counting_kernel()
    z, info = chains.inpaint(
        kernel,
        torch.zeros(3).long(),
        torch.ones(3).bool(),
        n=5,
        moves=4,
        correctors=2,
        chunk=2,
        return_info=True,
    )
    assert z.shape == (5, 3)
    assert info == RunInfo(13, chains.cosine_levels(4))
    assert kernel.net.examples == 5 * 13 and kernel.net.calls == 3 * 13


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"mask": torch.ones(2).bool()}, ValueError, r"mask has shape \(2,\); allowed: \(3,\)"),
        ({"mask": torch.ones(3)}, TypeError, "mask has dtype torch.float32; allowed: torch.bool"),
        ({"z": torch.full((3,), 2)}, ValueError, r"known values holds values in \[0, 2\]"),
        ({"z": torch.zeros(3)}, TypeError, "known values has dtype torch.float32"),
        ({"n": 0}, ValueError, "n was 0; allowed: a whole number >= 1"),
        ({"correctors": -1}, ValueError, "correctors was -1"),
        ({"moves": 0}, ValueError, "moves was 0"),
        ({"levels": [0.5]}, ValueError, r"levels was \[0.5\]"),
    ],
)
def test_arguments_of_inpainting_are_checked(change, error, message):
    given = {"z": torch.zeros(3).long(), "mask": torch.tensor([True, False, False]), **change}
    with pytest.raises(error, match=message):
        chains.inpaint(kernel_of(), **given)


# Two of four sites known, three peaked laws. What a chain that ignores the known values makes of
# the other sites, p(z_gen), is 0.56, 0.69 and 0.48 (TV) away from p(z_gen | z_known).
SITES, MASK, VALUES = (4,), torch.tensor([True, False, True, False]), torch.tensor([0, 1, 0, 0])
LAWS = pytest.mark.parametrize("seed", [0, 4, 5])


def peaked(seed):
    return random_law(2, SITES, seed, sharpness=2.0)


def given_known(law):
    """p(z | z_known) over all 16 states."""
    agrees = ((exact.states(2, SITES) == VALUES) | MASK).all(-1)
    return law * agrees / law[agrees].sum()


def ignoring_known(law):
    """p(z_gen) beside the known values: what the network would make of sites it does not see."""
    found = torch.zeros_like(law)
    filled = torch.where(MASK, exact.states(2, SITES), VALUES)
    return found.index_add(0, code(filled, 2), law)


def exact_error(kernel, law, levels, correctors):
    """TV of the exact law of `inpaint` (read out by draws) to p(z | z_known)."""
    known = (MASK, VALUES)
    _, found = exact.annealed_law(kernel, SITES, levels, correctors, draw=True, known=known)
    return exact.total_variation(found, given_known(law)), found


def assert_inpaint_follows(kernel, law, levels, correctors, count=10_000):
    """Chi-square of `inpaint` against its exact law at a false-alarm rate of 1e-6."""
    design = torch.where(MASK, 1 - VALUES, VALUES)
    z = chains.inpaint(
        kernel,
        design,
        MASK,
        n=count,
        levels=levels,
        correctors=correctors,
        draw=True,
        chunk=count,
        generator=seeded(19),
    )
    assert_counts(counts_of(code(z, 2), 16), law)


@LAWS
def test_known_values_matter(seed):
    law = peaked(seed)
    assert exact.total_variation(ignoring_known(law), given_known(law)) > 0.45


@LAWS
def test_inpainting_by_unmasking_is_exact_in_the_limit(seed):
    """Absorbing noise, carry-over, the exact posterior: masked sites come one at a time.

    Only moves that unmask both sites at once err. TV found: 0.0124, 0.0145, 0.0056 with 64 moves,
    0.0062, 0.0073, 0.0028 with 128.
    """
    law, family = peaked(seed), Absorbing(2)
    kernel = CategoricalNoiseKernel(Posterior(law, family, SITES), family, hold=1.0)
    error, found = exact_error(kernel, law, chains.linear_levels(64, 0.0), 0)
    assert error < 0.016
    half, _ = exact_error(kernel, law, chains.linear_levels(128, 0.0), 0)
    assert half == pytest.approx(error / 2, rel=0.05)
    assert_inpaint_follows(kernel, found, chains.linear_levels(64, 0.0), 0)


@LAWS
def test_inpainting_with_a_network_that_is_told(seed):
    """Uniform noise and the exact posterior given the known sites clean.

    16 moves, 4 correctors, h = 0.9. TV found: 0.0018, 0.0012, 0.0031.
    """
    law, family = peaked(seed), Uniform(2)
    kernel = CategoricalNoiseKernel(InformedPosterior(law, family, SITES), family, hold=0.9)
    assert kernel.told_known
    error, found = exact_error(kernel, law, chains.cosine_levels(16), 4)
    assert error < 0.005
    assert_inpaint_follows(kernel, found, chains.cosine_levels(16), 4, count=5000)


@LAWS
def test_inpainting_with_a_network_that_cannot_be_told(seed):
    """Uniform noise and the exact posterior that takes the known values for noisy ones.

    16 moves, 4 correctors, h = 0.9: an approximation. TV found: 0.0926, 0.1258, 0.2080.
    """
    law, family = peaked(seed), Uniform(2)
    kernel = CategoricalNoiseKernel(Posterior(law, family, SITES), family, hold=0.9)
    assert not kernel.told_known
    error, found = exact_error(kernel, law, chains.cosine_levels(16), 4)
    assert 0.01 < error < 0.25
    assert_inpaint_follows(kernel, found, chains.cosine_levels(16), 4, count=5000)


# -- the progress bar ------------------------------------------------------------------------------


@pytest.mark.parametrize("progress", [False, True])
def test_a_bar_appears_only_when_it_takes_long(progress, monkeypatch):
    started, stopped = [], []
    monkeypatch.setattr(Progress, "start", lambda self: started.append(self))
    kernel = kernel_of()
    chains.sample(kernel, 4, (3,), moves=3, progress=progress)
    assert started == []
    monkeypatch.undo()
    monkeypatch.setattr(chains.batches, "_BAR_AFTER_SECONDS", -1.0)
    start, stop = Progress.start, Progress.stop
    monkeypatch.setattr(Progress, "start", lambda s: (started.append(s), start(s)))
    monkeypatch.setattr(Progress, "stop", lambda s: (stopped.append(s), stop(s)))
    chains.sample(kernel, 4, (3,), moves=3, progress=progress, chunk=2)
    assert len(started) == len(stopped) == int(progress)
    if progress:
        (task,) = started[0].tasks
        assert task.completed == task.total == 2 * 3 * 2


def test_a_bar_is_stopped_when_a_run_fails(monkeypatch):
    monkeypatch.setattr(chains.batches, "_BAR_AFTER_SECONDS", -1.0)
    bars = []
    start = Progress.start
    monkeypatch.setattr(Progress, "start", lambda s: (bars.append(s), start(s)))
    kernel = NoReadOut()

    def fail(x, level, target_level=None, label=None, known=None):
        if len(bars):
            raise RuntimeError("out of luck")
        return Categorical(torch.zeros(*x.shape, 3).log_softmax(-1))

    kernel.transition = fail
    with pytest.raises(RuntimeError, match="out of luck"):
        chains.sample(kernel, 4, (3,), moves=3)
    assert len(bars) == 1 and not bars[0].live.is_started


def test_ordinal_runs_between_any_levels():
    """Upward moves too: levels need not fall all the way."""
    kernel = CategoricalNoiseKernel(Smooth(4, 4), Ordinal(4), 0.8)
    z = chains.sample(kernel, 50, (3,), levels=[1.0, 0.3, 0.6, 0.05], correctors=1)
    assert z.shape == (50, 3)
    assert float(f64(*z.flatten().tolist()).max()) <= 3


def test_a_start_that_is_not_known_and_labels_that_do_not_fit_are_refused():
    kernel = CategoricalNoiseKernel(dca.nn.MLP(2, 2, shape=(3,), width=8), Uniform(2))
    with pytest.raises(ValueError, match="levels starts at 0.3; allowed: 1"):
        dca.sample(kernel, 2, (3,), levels=[0.3, 0.1])
    with pytest.raises(ValueError, match=r"label has shape \(9,\); allowed: \(\) or \(2,\)"):
        dca.sample(kernel, 2, (3,), label=torch.zeros(9, dtype=torch.long))
