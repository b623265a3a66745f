"""The folder of a benchmark belongs to one run, and tells of the machine."""

import pytest

from experiments.benchmarks import folder
from jaxseg.training import tables


def test_a_folder_is_one_benchmarks_alone(tmp_path):
    config = folder.BenchmarkConfig(preset="tiny", out=tmp_path / "out")
    with folder.run_folder(config) as machine:
        rows = [{"way": "jaxseg, 1 device"}]
        folder.write_results(config.out, "# Times\n", ("way",), rows, machine)
        with pytest.raises(ValueError, match="by another run"), folder.run_folder(config):
            pass
    assert tables.read_csv(config.out / "results.csv", {"way": str}) == [
        {"way": "jaxseg, 1 device"}
    ]
    assert (config.out / "summary.md").read_text() == f"# Times\n\n{machine.sentence()}\n"
    with folder.run_folder(config):  # an earlier run's results are replaced
        pass
