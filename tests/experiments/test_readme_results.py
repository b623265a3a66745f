"""The README's numbers are those of the committed measurements."""

import json
import math
from pathlib import Path

import pytest

from experiments.results import readme, reduce, render
from experiments.results.__main__ import Config, main
from experiments.results.recipes import RECIPES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", readme.PARTS)
def test_the_readme_shows_what_was_measured(name):
    assert readme.parts((ROOT / "README.md").read_text())[name].strip() == readme.PARTS[name]()


def test_every_measurement_has_its_command_and_is_kept():
    kept = {path.stem: json.loads(path.read_text()) for path in readme.MEASURED.glob("*.json")}
    assert {*kept} <= {*RECIPES}
    assert len(kept) > 5
    for name, record in kept.items():
        assert record["commands"] == ["python -m " + " ".join(c) for c in RECIPES[name].commands]
        assert len(record) > 1


def test_parts_are_written_between_their_marks(monkeypatch):
    monkeypatch.setitem(readme.PARTS, "demo", lambda: "| new |")
    text = "before\n<!-- demo -->\n\n| old |\n\n<!-- end -->\nbehind\n"
    expected = "before\n<!-- demo -->\n\n| new |\n\n<!-- end -->\nbehind\n"
    assert readme.rewritten(text) == expected
    assert readme.rewritten(expected) == expected
    assert (
        readme.rewritten("<!-- demo -->\n\n<!-- end -->")
        == "<!-- demo -->\n\n| new |\n\n<!-- end -->"
    )
    with pytest.raises(ValueError, match="no such part"):
        readme.rewritten("<!-- demos -->\n\n<!-- end -->")


def test_depth_studies_are_reduced_to_medians_at_the_best_rate(tmp_path):
    rows = ["arm,depth,seed,learning_rate,train_loss,mean_iou"]
    for depth, losses in ((8, (0.3, 0.5, 0.4)), (64, (1.0, 1.1, 1.2))):
        for seed, loss in enumerate(losses):
            rows += [f"plain,{depth},{seed},0.001,{loss},0", f"plain,{depth},{seed},0.1,2.0,0"]
    (tmp_path / "results.csv").write_text("\n".join(rows) + "\n")
    values = reduce.depth_losses(tmp_path, classes=3)
    assert values == {
        "seeds": 3,
        "arms": {
            "plain": {"trainable_depth": 8, "losses": {"8": [0.4, 0.3, 0.5], "64": [1.1, 1.0, 1.2]}}
        },
    }
    assert render.depth_table(values).splitlines()[-1] == "| plain | 8 | 0.400 | 1.100 |"
    assert "plain, 64 convolutions: 1.100 (1.000 to 1.200)" in render.losses_sentence(values)


def test_benchmarks_are_reduced_to_geometric_means(tmp_path):
    with pytest.raises(ValueError, match=r"results\.csv cannot be read"):
        reduce.ratios(tmp_path, groups=("case",), ratio="ratio")
    lines = ["family,case,way,ratio", "dense,a,jaxseg,0.5", "dense,b,jaxseg,2.0", "dense,b,slow,4"]
    (tmp_path / "results.csv").write_text("\n".join(lines) + "\n")
    assert reduce.ratios(tmp_path, groups=("family",), ratio="ratio")["machine"] is None
    (tmp_path / "machine.json").write_text('{"cores": 2}')
    values = reduce.ratios(tmp_path, groups=("family",), ratio="ratio")
    assert values["cases"] == {"dense": 2}
    assert math.isclose(values["ratios"]["dense"]["jaxseg"], 1.0)
    with pytest.raises(ValueError, match="has no rows with to_pytorch"):
        reduce.ratios(tmp_path, groups=(), ratio="to_pytorch")


def test_unknown_results_are_refused():
    with pytest.raises(ValueError, match="unknown"):
        main(Config(only=("demos",)))
