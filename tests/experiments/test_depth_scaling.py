"""The depth study from its command line: what it leaves, what it goes on with, what it refuses."""

import csv
import json
import shutil

import depth_scaling
import jax
import numpy as np
import pytest

COLUMNS = (
    "arm,depth,seed,learning_rate,train_loss,pixel_accuracy,mean_iou,parameters,"
    "compile_seconds,step_milliseconds"
)
FILES = {
    "config.json",
    "results.csv",
    "gradients.csv",
    "responses.csv",
    "metrics.jsonl",
    "summary.md",
    "verdicts.csv",
    "depth_scaling.png",
    "curves.png",
    "responses.png",
    "predictions",
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Runs the tiny study in a folder; the data is prepared once."""
    root = tmp_path_factory.mktemp("data")

    def run(out, *args):
        flags = ["--preset", "tiny", "--data-dir", str(root), "--out", str(out), *args]
        # optax's Adam takes a float to the power of an integer, which strict promotion forbids.
        with jax.numpy_dtype_promotion("standard"):
            depth_scaling.command(flags)

    return run


@pytest.fixture(scope="module")
def finished(study, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "tiny"
    study(out)
    return out


@pytest.fixture
def out(finished, tmp_path):
    """A copy of the finished study, to go on with."""
    return shutil.copytree(finished, tmp_path / "copy")


@pytest.fixture
def trained(monkeypatch):
    """The members that were trained, a list a call."""
    calls, original = [], depth_scaling.train_members

    def spy(apply, start, optimizer, members, *args, **kwargs):
        calls.append([tuple(m) for m in members])
        return original(apply, start, optimizer, members, *args, **kwargs)

    monkeypatch.setattr(depth_scaling, "train_members", spy)
    return calls


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_leaves_all_its_files(finished):
    assert {p.name for p in finished.iterdir()} == FILES
    assert (finished / "results.csv").read_text().splitlines()[0] == COLUMNS
    results = rows(finished / "results.csv")
    runs = {(r["arm"], r["depth"], r["seed"], r["learning_rate"]) for r in results}
    assert len(results) == len(runs) == 2 * 2 * 2 * 2
    for row in results:
        assert 0 < float(row["train_loss"]) < 10
        assert 0 <= float(row["mean_iou"]) <= float(row["pixel_accuracy"]) <= 1
        assert float(row["compile_seconds"]) > 0
        assert float(row["step_milliseconds"]) > 0
    assert len({(r["depth"], r["parameters"]) for r in results}) == 2
    gradients = rows(finished / "gradients.csv")
    # 1 and 3 blocks, by two seeds and two arms.
    assert len(gradients) == (1 + 3) * 2 * 2
    assert all(float(r["input_gradient_norm"]) > 0 for r in gradients)
    # All blocks but the last, none of 1 and two of 3, by two arms, seeds and rates.
    responses = rows(finished / "responses.csv")
    assert {r["depth"] for r in responses} == {"8"}
    assert len(responses) == 2 * 2 * 2 * 2
    assert all(float(r["response"]) > 0 for r in responses)
    assert all((float(r["share"]) == 1) == (r["arm"] == "plain") for r in responses)
    curves = [json.loads(s) for s in (finished / "metrics.jsonl").read_text().splitlines()]
    assert len(curves) == 16
    assert all(len(curve["train_loss"]) == 4 for curve in curves)
    assert (finished / "depth_scaling.png").read_bytes()[:4] == b"\x89PNG"
    summary = (finished / "summary.md").read_text()
    assert "| plain |" in summary
    assert "ln K = 1.0986" in summary
    claims = [r["claim"] for r in rows(finished / "verdicts.csv")]
    assert len(claims) == 3  # rises, stays, below: of plain and residual
    assert np.load(finished / "predictions" / "plain-8.npy").shape == (6, 12, 12)


@pytest.mark.slow
def test_resume_redoes_only_what_is_missing(out, study, trained):
    before = (out / "results.csv").read_text().splitlines()
    lost = [
        i for i, s in enumerate(before) if s.startswith(("residual,8,0,0.01", "residual,8,1,0.0"))
    ]
    assert len(lost) == 3
    kept = [s for i, s in enumerate(before) if i not in lost]
    (out / "results.csv").write_text("\n".join(kept) + "\n")
    gradients = (out / "gradients.csv").read_bytes()
    study(out, "--resume")
    after = (out / "results.csv").read_text().splitlines()
    assert trained == [[(0, 0.01), (1, 0.001), (1, 0.01)]]
    assert after[: len(kept)] == kept
    assert (out / "gradients.csv").read_bytes() == gradients
    # The same numbers again, but for the times.
    redone = {tuple(s.split(",")[:4]): s.split(",")[4:8] for s in after[len(kept) :]}
    assert len(redone) == 3
    for i in lost:
        words = before[i].split(",")
        np.testing.assert_allclose(
            np.array(redone[tuple(words[:4])], float), np.array(words[4:8], float), rtol=1e-3
        )


@pytest.mark.slow
def test_resume_of_a_finished_study_trains_nothing(out, study, trained):
    before = (out / "results.csv").read_bytes()
    (out / "summary.md").unlink()
    study(out, "--resume")
    assert trained == []
    assert (out / "results.csv").read_bytes() == before
    assert "2 seeds" in (out / "summary.md").read_text()
    # The caption tells of the results, not of the command.
    study(out, "--resume", "--seeds", "1")
    assert trained == []
    assert "2 seeds" in (out / "summary.md").read_text()


@pytest.mark.slow
def test_results_are_not_overwritten_unasked(out, study):
    before = {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()}
    with pytest.raises(SystemExit, match=r"^depth_scaling: .* holds results .*--resume"):
        study(out)
    with pytest.raises(SystemExit, match=r"other options \(steps: 4 there, 5 now\)"):
        study(out, "--resume", "--steps", "5")
    assert before == {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()}


@pytest.mark.slow
def test_damaged_results_are_refused(out, study):
    path = out / "results.csv"
    path.write_text(path.read_text()[:-30])
    with pytest.raises(SystemExit, match=r"results\.csv, line 17, is damaged"):
        study(out, "--resume")


def test_an_interrupt_keeps_what_is_done_and_says_how_to_go_on(
    study, tmp_path, monkeypatch, capsys, trained
):
    spy = depth_scaling.train_members

    def interrupted(*args, **kwargs):
        if len(trained) == 1:
            raise KeyboardInterrupt
        return spy(*args, **kwargs)

    monkeypatch.setattr(depth_scaling, "train_members", interrupted)
    with pytest.raises(SystemExit) as caught:
        study(tmp_path)
    assert caught.value.code == 130
    printed = capsys.readouterr().out
    assert "Stopped. 4 runs are in" in printed
    assert "--resume" in printed
    results = rows(tmp_path / "results.csv")
    assert {(r["arm"], r["depth"]) for r in results} == {("plain", "4")}
    assert len(results) == 4
    assert (tmp_path / "summary.md").exists()


@pytest.mark.slow
def test_starting_over_leaves_nothing_of_the_old_study(out, study, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(depth_scaling, "train_members", interrupted)
    with pytest.raises(SystemExit):
        study(out, "--overwrite", "--steps", "3", "--arms", "plain", "--depths", "4")
    # Else --resume would take the results of four steps for those of three.
    assert not (out / "results.csv").exists()
    assert not (out / "metrics.jsonl").exists()
    assert not [*(out / "predictions").iterdir()]


def test_gradients_of_other_options_are_not_resumed(study, tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(depth_scaling, "train_members", interrupted)
    short = ("--arms", "plain", "--depths", "4")
    with pytest.raises(SystemExit):
        study(tmp_path, *short)
    first = (tmp_path / "gradients.csv").read_text()
    with pytest.raises(SystemExit):
        study(tmp_path, *short, "--features", "6", "--resume")
    text = (tmp_path / "gradients.csv").read_text() if (tmp_path / "gradients.csv").exists() else ""
    config = json.loads((tmp_path / "config.json").read_text())
    assert (text == first) == (config["features"] == 4)


def test_a_study_where_every_run_diverges_is_reported(study, tmp_path):
    study(tmp_path, "--arms", "plain", "--depths", "4", "--learning-rates", "1e30", "--seeds", "2")
    assert {r["train_loss"] for r in rows(tmp_path / "results.csv")} == {"inf"}
    assert "inf" in (tmp_path / "summary.md").read_text()
    curve = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
    first, *later = curve["train_loss"]
    assert 0 < first < 10
    assert set(later) == {None}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--preset", "huge"], r"^depth_scaling: preset 'huge' is unknown: .* tiny, quick, full"),
        (["--size", "12", "16"], r"^depth_scaling: size=\(12, 16\): mosaics are square"),
        (["--devices", "-1"], r"^depth_scaling: devices=-1 must not be negative"),
        (["--features", "0"], r"^depth_scaling: .*features=0 must be at least 1"),
        (["--dilation", "0"], r"^depth_scaling: .*dilation=0 must be at least 1"),
        (["--checkpoint", "-1"], r"^depth_scaling: .*checkpoint\w*=-1 must not be negative"),
        (
            ["--dataset", "camvid", "--camvid-dir", "/nowhere/at/all"],
            r"^depth_scaling: .*/nowhere/at/all",
        ),
        (["--dataset", "camvid"], r"^depth_scaling: .*JAXSEG_CAMVID"),
    ],
)
def test_what_cannot_be_run_is_said_in_one_line(args, message, study, tmp_path, monkeypatch):
    monkeypatch.delenv("JAXSEG_CAMVID", raising=False)
    with pytest.raises(SystemExit, match=message) as caught:
        study(tmp_path / "out", *args)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out" / "results.csv").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--arms", "plain", "deep"], "arms ['deep'] are unknown: give some of plain, plain_norm"),
        (["--arms"], "arms () are unknown: give some of plain"),
        (["--depths", "8", "9", "2"], "depths [9, 2]: a net has a stem"),
        (["--seeds", "0"], "seeds=0, steps=4, batch_size=2"),
        (["--dataset", "imagenet"], "imagenet"),
    ],
)
def test_flags_that_make_no_configuration_are_refused(args, message, study, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        study(tmp_path / "out", *args)
    assert caught.value.code == 2
    printed = " ".join("".join(capsys.readouterr()).replace("│", " ").split())
    assert message in printed
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_resume_takes_more_seeds_rates_and_arms(out, study, trained):
    before = (out / "results.csv").read_text().splitlines()
    study(out, "--resume", "--depths", "4", "--arms", "plain", "--seeds", "3")
    assert trained == [[(2, 0.001), (2, 0.01)]]
    assert (out / "results.csv").read_text().splitlines()[: len(before)] == before
    gradients = [r for r in rows(out / "gradients.csv") if (r["arm"], r["depth"]) == ("plain", "4")]
    assert [r["seed"] for r in gradients] == ["0", "1", "2"]


@pytest.mark.slow
def test_resume_survives_a_torn_history(out, study):
    path = out / "metrics.jsonl"
    path.write_text(path.read_text()[:-20])
    study(out, "--resume")


def test_going_on_and_starting_over_exclude_each_other(study, tmp_path, monkeypatch):
    monkeypatch.setattr(depth_scaling, "Study", None)
    (tmp_path / "results.csv").write_text("of other options")
    with pytest.raises(SystemExit):
        study(tmp_path, "--resume", "--overwrite")
