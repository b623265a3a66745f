"""Rows are on the disk as soon as they are known."""

import numpy as np
import pytest

from jaxseg.studies import Results
from jaxseg.studies.members import Members

COLUMNS = {"arm": str, "seed": int, "loss": float}


def row(arm, seed, loss=0.1):
    return {"arm": arm, "seed": seed, "loss": loss}


def test_a_table_is_on_the_disk_after_each_row(tmp_path):
    path = tmp_path / "results.csv"
    table = Results(path, COLUMNS, resume=True)
    table.add([row("plain, deep", 0)])
    assert Results(path, COLUMNS, resume=True).rows == [row("plain, deep", 0)]
    assert Results(path, COLUMNS, resume=False).rows == []


def test_rows_are_selected_and_replaced_by_their_values(tmp_path):
    path = tmp_path / "results.csv"
    table = Results(path, COLUMNS, resume=True)
    table.add([row("a", 0), row("a", 1), row("b", 0)])
    assert table.select(arm="a", seed=1) == [row("a", 1)]
    assert table.select(arm="c") == []
    table.replace([row("a", 2)], arm="a")
    assert table.rows == [row("b", 0), row("a", 2)]
    assert Results(path, COLUMNS, resume=True).rows == table.rows
    table.drop(seed=2)
    assert table.rows == [row("b", 0)]


def test_truth_values_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "results.csv"
    columns = {"case": str, "holds": bool}
    table = Results(path, columns, resume=False)
    table.add([{"case": "…", "holds": True}, {"case": "b", "holds": False}])
    assert Results(path, columns, resume=True).rows == table.rows
    path.write_text(path.read_text(encoding="utf-8").replace("False", "no"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"line 3, is damaged .'no' is neither True nor False"):
        Results(path, columns, resume=True)


def rows(*runs):
    return [{"seed": seed, "learning_rate": rate} for seed, rate in runs]


def nets(*values):
    return {"w": np.array(values, np.float32)[:, None]}, np.zeros((len(values), 0))


def losses(*values):
    return np.array(values, np.float32)[:, None]


def test_fresh_runs_stand_behind_those_kept(tmp_path):
    members = Members(tmp_path / "members" / "a.npz")
    first, second = rows((0, 0.1), (1, 0.1)), rows((0, 0.2))
    assert members.join([], first, nets(1, 2), losses(0.5, 0.6))[0]["w"].tolist() == [[1], [2]]
    members.extend("updates", np.array([10, 20]), fresh=2)
    joined = members.join(first, second, nets(3), losses(0.7))
    assert joined[0]["w"].tolist() == [[1], [2], [3]]
    members.extend("updates", np.array([30]), fresh=1)
    order = [*second, *reversed(first)]
    assert members.pick(order, "updates").tolist() == [30, 20, 10]
    assert members.pick(order).ravel().tolist() == pytest.approx([0.7, 0.6, 0.5])


def test_what_a_kill_left_without_rows_is_forgotten(tmp_path):
    members = Members(tmp_path / "a.npz")
    kept = rows((1, 0.1))
    members.join([], rows((0, 0.1), (1, 0.1)), nets(1, 2), losses(0.5, 0.6))
    joined = members.join(kept, rows((2, 0.1)), nets(3), losses(0.7))
    assert joined[0]["w"].tolist() == [[2], [3]]


def test_missing_and_damaged_files_are_named(tmp_path):
    members = Members(tmp_path / "a.npz")
    with pytest.raises(ValueError, match=r"a\.npz cannot be read"):
        members.pick(rows((0, 0.1)))
    members.join([], rows((0, 0.1)), nets(1), losses(0.5))
    with pytest.raises(ValueError, match="holds no updates"):
        members.pick(rows((0, 0.1)), "updates")
    with pytest.raises(ValueError, match="lacks a run"):
        members.pick(rows((0, 0.2)))
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(content[:50])
    with pytest.raises(ValueError, match=r"a\.npz cannot be read"):
        members.pick(rows((0, 0.1)))
