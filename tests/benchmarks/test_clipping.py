from benchmarks import clipping


def test_quick_form_trains_every_way_and_a_limit_that_is_never_met_changes_nothing(tmp_path):
    found = clipping.main(["--quick", "--folder", str(tmp_path)])
    rows = {row["clip"]: row for row in found["rows"]}
    assert len(rows) == 1 + len(clipping.MULTIPLES) + len(clipping.FIXED)
    assert rows["none"]["share cut"] == 0
    free, loose = rows["none"], rows["10 x the running mean"]
    assert loose["share cut"] > 0 or loose["TV at b = 0.3"] == free["TV at b = 0.3"]
    assert rows["fixed, 0.3 x the median norm"]["share cut"] > 0.5
    assert rows["fixed, 0.3 x the median norm"]["TV at b = 0.3"] != free["TV at b = 0.3"]
