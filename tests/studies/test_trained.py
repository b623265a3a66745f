"""The runs of an arm: which nets are the best, and how they are measured and saved."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from jaxseg.studies import Results, Trained
from jaxseg.studies.members import Members
from jaxseg.training.sweep import Member


def made(tmp_path, rows) -> Trained:
    """Runs that nobody trained; the parameter of run n is n."""
    start = {"w": np.arange(3.0, dtype=np.float32)}, np.zeros((3, 0), np.float32)
    nets = {"w": np.arange(len(rows), dtype=np.float32)}, np.zeros((len(rows), 0), np.float32)
    columns = {"arm": str, "seed": int, "learning_rate": float, "train_loss": float, "more": str}
    return Trained(
        names={"arm": "a", "depth": 8},
        init=lambda key: None,
        apply=lambda *arguments: None,
        fresh=[Member(0, 0.1)],
        rows=rows,
        predictions=np.zeros(0),
        start=start,
        nets=nets,
        kept=Members(tmp_path / "a.npz"),
        results=Results(tmp_path / "results.csv", columns, resume=False),
    )


def row(seed, rate, loss):
    outcome = {"pixel_accuracy": 0.5, "mean_iou": 0.4, "compile_seconds": 1.0}
    return {
        **{"arm": "a", "seed": seed, "learning_rate": rate, "train_loss": loss},
        **outcome,
        "step_milliseconds": 2.0,
    }


ROWS = [row(2, 0.1, 0.3), row(0, 0.2, 0.1), row(0, 0.1, 0.2), row(1, 0.1, 0.1), row(1, 0.2, 9.0)]


def runs(rows):
    return [(row["seed"], row["learning_rate"]) for row in rows]


def test_nets_at_the_best_rate_are_in_the_order_of_the_seeds(tmp_path):
    """Rate 0.2 was tried with fewer seeds."""
    trained = made(tmp_path, ROWS)
    assert trained.title == "a, 8"
    assert trained.at_best()[0]["w"].tolist() == [2, 3, 0]
    assert runs(trained.best_rows()) == [(0, 0.1), (1, 0.1), (2, 0.1)]


def test_each_net_is_measured_by_itself(tmp_path):
    """Three nets on two devices; what each net has of its own stays with it."""
    trained = made(tmp_path, ROWS)

    def measure(params, stats, factor, shared):
        return {"sum": params["w"] * factor + shared["x"].sum(), "stats": stats}

    factors, shared = np.array([1.0, 10, 100], np.float32), {"x": jnp.ones(4)}
    for nets in (trained.start, trained.at_best()):
        measured = trained.measure(measure, nets, shared, each=(factors,))
        assert measured["sum"].tolist() == [
            float(w * factor + 4) for w, factor in zip(nets[0]["w"], factors, strict=True)
        ]
        assert measured["stats"].shape == (3, 0)
    assert trained.measure(lambda params, stats: params["w"], trained.nets).tolist() == [*range(5)]
    # Another function of the same arguments is another measurement.
    assert trained.measure(lambda params, stats: -params["w"], trained.nets)[4] == -4


def test_an_arm_is_saved_in_place_of_its_old_rows(tmp_path, capsys):
    trained = made(tmp_path, ROWS)
    results = trained.results
    results.add([{**row(0, 0.1, 7.0), "arm": "b", "more": "x", "depth": 8}])
    results.add([{**ROWS[0], "more": "old", "depth": 8}])
    trained = replace(trained, rows=[{**old, "depth": 8} for old in ROWS])
    trained.save(more="new")
    assert [(r["arm"], r["more"]) for r in results.rows] == [("b", "x"), *[("a", "new")] * 5]
    assert "a, 8: loss 0.100, accuracy 0.500, mean IoU 0.400 at rate 0.2" in capsys.readouterr().out
