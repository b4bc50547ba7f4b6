"""Reports in words."""

from dataclasses import fields

from discrete_ca.metrics import MEASURES, DigitMetrics, rows


def test_every_metric_of_digits_has_words():
    assert {field.name for field in fields(DigitMetrics)} <= MEASURES.keys()


def test_numbers_stand_beside_those_of_real_data():
    report = {"frechet_distance": 1.5, "frechet_distance_floor": 0.291, "nfe": 1225, "seed": 0}
    assert rows(report) == [
        ("Frechet distance to the test set (judge's features)", "1.50", "0.29"),
        ("network evaluations a sample (NFE)", "1,225", ""),
        ("seed", "0", ""),
    ]


def test_what_is_of_real_data_alone_stands_with_them():
    report = {"frechet_distance": 1.5, "frechet_distance_floor": 0.3} | {
        "frechet_distance_stratified": 0.204
    }
    assert rows(report)[1:] == [
        ("the same, classes as even as the samples' (mean of 5)", "", "0.20")
    ]


def test_what_is_not_known_stands_as_it_is():
    report = {"my_share": 0.25, "done": True, "note": "x", "curve": [1, 2], "nfe": "many"}
    assert rows(report) == [
        ("my share", "0.25", ""),
        ("done", "True", ""),
        ("note", "x", ""),
        ("network evaluations a sample (NFE)", "many", ""),
    ]
    assert rows({"frechet_distance_floor": 0.29}) == [("frechet distance floor", "0.29", "")]
    assert rows({"nfe": float("nan")})[0][1] == "nan"
