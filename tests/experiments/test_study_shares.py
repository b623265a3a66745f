"""A study shared out over two hosts, joined, and finished, as the study of one host."""

import signal

import numpy as np
import pytest
from processes import Process
from tiny_studies import assert_same, tables

from jaxseg.studies import merge_shares, read_findings

MODULE = "experiments.long_skips"

pytestmark = pytest.mark.slow


def start(folder, out, *words):
    folder.mkdir(exist_ok=True)
    shared = ("--preset", "tiny", "--out", str(out), "--data-dir", str(folder))
    return Process(MODULE, folder, *shared, *words)


def test_two_shares_are_the_whole_study(tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "out"
    alone = start(tmp_path / "a", whole)
    first = start(tmp_path / "b", out, "--share", "1/2")
    second = start(tmp_path / "c", out, "--share", "2/2")
    one, two = (out / f"share-{number}-of-2" for number in (1, 2))
    first.wait_for(lambda: len(tables(one).get("results.csv", ())) > 0)
    first.stop(signal.SIGKILL)
    assert second.end()[0] == 0
    assert "Share 2/2 is finished" in second.output
    assert read_findings(two) is None
    with pytest.raises(ValueError, match="share-1-of-2 is not finished"):
        merge_shares(out, [one, two])
    again = start(tmp_path / "b", out, "--share", "1/2", "--resume")
    assert again.end()[0] == 0

    joined = tmp_path / "joined"
    merge = Process("jaxseg", tmp_path / "c", "merge", str(joined), str(two), str(one))
    assert merge.end()[0] == 0
    assert alone.end()[0] == 0
    assert tables(joined, times=False) == tables(whole, times=False)
    rows = tables(joined)["results.csv"]
    last = start(tmp_path / "b", joined, "--resume")
    assert last.end()[0] == 0
    assert tables(joined)["results.csv"] == rows  # times too: nothing was trained again
    assert_same(joined, whole)
    for path in [*whole.glob("members/*"), *whole.glob("arrays/*")]:
        with np.load(path) as expected, np.load(joined / path.relative_to(whole)) as arrays:
            for name in expected:
                np.testing.assert_array_equal(arrays[name], expected[name])
