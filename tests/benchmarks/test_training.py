from benchmarks import training


def test_quick_form_measures_both_loops_and_a_resumed_run(tmp_path):
    found = training.main(["--quick", "--folder", str(tmp_path)])
    (row,) = found["rows"]
    assert 0.5 < row["Trainer step / bare loop"] < 3  # noise of a busy machine; the ratio is near 1
    assert row["resume (s)"] > 0
