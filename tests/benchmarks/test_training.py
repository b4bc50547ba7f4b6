from benchmarks import training


def test_quick_form_measures_both_loops_and_a_resumed_run(tmp_path):
    found = training.main(["--quick", "--folder", str(tmp_path)])
    (row,) = found["rows"]
    assert row["Trainer step / bare loop"] > 0  # the number itself is the benchmark's to say
    assert row["resume (s)"] > 0
