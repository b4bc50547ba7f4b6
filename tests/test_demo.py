"""The demo trains what its recipe says."""

import torch

import discrete_ca as dca
from discrete_ca.demo import RECIPE, _table, demo_kernel
from discrete_ca.runs import RunConfig, build_schedule


def test_the_recipe_is_the_kernel_that_was_measured():
    torch.manual_seed(0)
    found = demo_kernel()
    torch.manual_seed(0)
    net = dca.nn.UNet(2, 2, widths=(64, 96), blocks=1, head_width=16, num_classes=10, known=True)
    noise = dca.corruption.Uniform(2)
    wanted = dca.CategoricalNoiseKernel(net, noise, hold=0.85, add_evidence=True)
    assert (
        found.add_evidence
        and found.hold == wanted.hold == 0.85
        and type(found.corruption) is type(noise)
    )
    pairs = zip(found.state_dict().items(), wanted.state_dict().items(), strict=True)
    assert all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)
    assert demo_kernel(hold=0.5).hold == 0.5


def test_the_table_has_real_digits_in_their_column():
    report = {"frechet_distance": 0.39, "frechet_distance_floor": 0.29}
    table = _table({**report, "frechet_distance_stratified": 0.2, "nfe": 258})
    names = [column.header for column in table.columns]
    rows = [*zip(*(column.cells for column in table.columns), strict=True)]
    assert names == ["measure", "samples", "real digits"]
    assert [row[1:] for row in rows] == [("0.39", "0.29"), ("", "0.20"), ("258", "")]


def test_the_recipe_is_the_training_that_was_measured():
    recipe = RunConfig.from_toml(RECIPE)
    denoising = dca.Denoising(level_weight=dca.InverseLevel(0.1), unlabelled_share=0.1)
    assert build_schedule(recipe.recipe) == dca.Schedule.of(denoising)
    assert recipe.train == dca.TrainConfig(minutes=8.0, batch_size=64)
