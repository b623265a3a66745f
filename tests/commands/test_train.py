"""From a command line to weights, and from those to tables, masks and the same weights again."""

import json
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest
from flax import nnx
from PIL import Image

from jaxseg.commands import evaluate, predict, train
from jaxseg.commands.data import DataConfig, load
from jaxseg.commands.loss import LossConfig, make_loss
from jaxseg.commands.model import NETS, ModelConfig, build
from jaxseg.commands.run import load_run, start
from jaxseg.commands.train_config import default_preset
from jaxseg.data import Augmentation
from jaxseg.training import OptimizerConfig
from jaxseg.training.checkpoint import Checkpoints

TINY = train.Config(
    model=ModelConfig(widths=(4,), dropout=0.2),
    data=DataConfig(name="mosaic", size=(16, 16)),
    augmentation=Augmentation(scale=(0.8, 1.2), brightness=0.2),
    optimizer=OptimizerConfig(learning_rate=1e-2, average=0.9, warmup=2),
    steps=12,
    batch_size=4,
    log_every=2,
    evaluate_every=6,
    save_every=4,
    keep=4,
)

OTHERS = ("holiday.png", "notes.csv", "checkpoints/best.pt")
"""Files that lie where the run begins."""


@pytest.fixture(scope="module", autouse=True)
def _optax():
    """Optax mixes floats and integers."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of twelve steps; its checkpoints of the steps 4, 6, 8 and 12 stay."""
    folder = tmp_path_factory.mktemp("train")
    config = replace(TINY, out=folder / "run", data=replace(TINY.data, data_dir=folder / "data"))
    for other in OTHERS:
        (config.out / other).parent.mkdir(parents=True, exist_ok=True)
        (config.out / other).write_text("of another program")
    train.main(config)
    return config


def state_of(config, step=12):
    """Every array of a checkpoint, one after the other, as bytes."""
    info = load(config.data).info
    like = jax.eval_shape(lambda: start(config.model, config.optimizer, info, 12, 0))
    with Checkpoints(config.out / "checkpoints", read_only=True) as checkpoints:
        state = checkpoints.restore(like, step).state
    state = replace(state, key=jax.random.key_data(state.key))
    return b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state))


def log(config):
    return [json.loads(line) for line in (config.out / "metrics.jsonl").read_text().splitlines()]


def test_a_run_leaves_tables_figures_and_checkpoints(finished):
    here = {path.name for path in finished.out.iterdir()}
    assert here >= {
        "config.json",
        "dataset.json",
        "metrics.jsonl",
        "results.csv",
        "summary.md",
        "curves.png",
        "panel.png",
        "checkpoints",
    }
    assert all((finished.out / other).exists() for other in OTHERS)
    records = log(finished)
    assert [r["step"] for r in records if "loss" in r] == [2, 4, 6, 8, 10, 12]
    assert [r["step"] for r in records if r.get("event") == "validation"] == [6, 12]
    assert records[0]["event"] == "start"
    assert all(np.isfinite(r["loss"]) for r in records if "loss" in r)
    assert "mean IoU" in (finished.out / "summary.md").read_text()


def test_a_resumed_run_is_the_run_that_never_stopped(finished, tmp_path):
    again = replace(finished, out=tmp_path / "run", resume=True, resume_step=4)
    shutil.copytree(finished.out, again.out)
    # What is compared must come from the resumed run, not from the copy.
    shutil.rmtree(again.out / "checkpoints" / "step-00000012")
    kept = [json.dumps(record) for record in log(finished) if record.get("step", 0) <= 4]
    (again.out / "metrics.jsonl").write_text("\n".join(kept) + "\n")
    train.main(again)
    assert state_of(again) == state_of(finished) != state_of(finished, 8)
    losses = [[r["loss"] for r in log(c) if "loss" in r] for c in (again, finished)]
    assert losses[0] == losses[1]


def test_a_damaged_checkpoint_is_refused_by_name(finished, tmp_path):
    again = replace(finished, out=tmp_path / "run", resume=True)
    shutil.copytree(finished.out, again.out)
    newest = again.out / "checkpoints" / "step-00000012"
    victim = max((p for p in newest.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    with pytest.raises(ValueError, match=r"step-00000012.*damaged"):
        train.main(again)


def test_a_run_is_neither_overwritten_nor_resumed_as_another(finished):
    with pytest.raises(ValueError, match="go on with --resume"):
        train.main(finished)
    other = replace(finished, resume=True, model=replace(finished.model, widths=(6,)))
    with pytest.raises(ValueError, match=r"model\.widths: \[4\] there, \[6\] now"):
        train.main(other)


def test_a_run_goes_on_with_its_own_data_only(finished, tmp_path):
    again = replace(finished, out=tmp_path / "run", resume=True)
    shutil.copytree(finished.out, again.out)
    saved = again.out / "dataset.json"
    saved.write_text(saved.read_text().replace('"mean": [0', '"mean": [1'))
    before = saved.read_text(), (again.out / "config.json").read_text()
    with pytest.raises(ValueError, match=r"trained on other data \(mean: \[1"):
        train.main(again)
    assert (saved.read_text(), (again.out / "config.json").read_text()) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"space": 3}, "space=3 must divide"),
        ({"optimizer": OptimizerConfig(warmup=99)}, "warmup=99 must leave some"),
        ({"model": ModelConfig(dropout=2.0)}, "dropout=2"),
    ],
)
def test_a_run_that_cannot_be_overwrites_nothing(finished, tmp_path, change, message):
    again = replace(finished, out=tmp_path / "run", overwrite=True, **change)
    shutil.copytree(finished.out, again.out)
    with pytest.raises(ValueError, match=message):
        train.main(again)
    assert state_of(replace(again, **{k: getattr(finished, k) for k in change}))
    assert log(again)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--resume", "--overwrite"], "both given"),
        (["--overwrite", "--resume-step", "4"], "resume_step=4 is given without resume"),
        (["--optimizer.accumulate", "3"], "accumulate=3 does not divide batch_size=8"),
        (["--loss.label-smoothing", "1"], "must be at least 0 and below 1"),
        (["--loss.name", "focal", "--loss.label-smoothing", "0.1"], "no effect on 'focal'"),
    ],
)
def test_options_that_contradict_each_other_are_refused(words, message, tmp_path, capsys):
    with pytest.raises(SystemExit):
        train.command([*words, "--out", str(tmp_path / "run")])
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    words = ["--data.data-dir", str(tmp_path), "--data.size", "16", "16"]
    with pytest.raises(ValueError, match=r"/file is a file, expected a folder .*another --out"):
        train.command([*words, "--out", str(tmp_path / "file" / "run")])


def test_a_diverged_run_says_what_is_left(finished, tmp_path):
    optimizer = OptimizerConfig(name="sgd", learning_rate=1e30, clip=0, weight_decay=0, warmup=2)
    config = replace(
        finished,
        out=tmp_path / "run",
        overwrite=True,
        optimizer=optimizer,
        save_every=1,
        log_every=1,
    )
    shutil.copytree(finished.out, config.out)
    with pytest.raises(SystemExit, match=r"learning-rate 1e\+30; .*the steps \[1") as stop:
        train.main(config)
    assert isinstance(stop.value.__cause__, train.Diverged)
    assert "12" not in str(stop.value).rsplit("steps", 1)[1]  # those of the run before are gone


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("dataset.json", "{}", "dataset.json is no record"),
        ("dataset.json", "[1]", "dataset.json is no record"),
        ("config.json", '{"model": {}}', "config.json is no record .*it lacks data"),
        ("config.json", "{", "config.json is no record"),
    ],
)
def test_damaged_records_are_named(finished, tmp_path, name, text, message):
    shutil.copytree(finished.out, tmp_path / "run")
    (tmp_path / "run" / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        load_run(tmp_path / "run")


def test_evaluation_wants_the_classes_of_the_run(finished, tmp_path):
    shutil.copytree(finished.out, tmp_path / "run")
    saved = tmp_path / "run" / "dataset.json"
    info = json.loads(saved.read_text())
    saved.write_text(json.dumps({**info, "class_names": [*info["class_names"][1:], "other"]}))
    with pytest.raises(ValueError, match=r"trained on other data \(class_names: .*other.*there"):
        evaluate.command(["--run", str(tmp_path / "run")])


def test_the_commands_go_from_a_run_to_tables_and_masks(finished, tmp_path, capsys):
    words = ["--split", "test", "--inference.flip", "--inference.window", "12", "12"]
    evaluate.command(["--run", str(finished.out), *words])
    folder = finished.out / "test"
    rows = (folder / "confusion.csv").read_text().splitlines()[1:]
    total = sum(int(n) for row in rows for n in row.split(",")[1:])
    assert total == 64 * 16 * 16
    assert {path.name for path in folder.glob("*.*")} >= {*evaluate.TABLES, *evaluate.FIGURES}
    assert "windows of 12x12" in capsys.readouterr().out
    Image.new("RGB", (31, 20), (90, 90, 90)).save(tmp_path / "a.png")
    words = ["--images", str(tmp_path / "a.png"), "--out", str(tmp_path / "out")]
    assert predict.command(["--run", str(finished.out), *words]) == 0
    with Image.open(tmp_path / "out" / "a_mask.png") as mask:
        assert (mask.mode, mask.size) == ("P", (31, 20))
        assert np.asarray(mask).max() <= 2


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is no training run"):
        load_run(tmp_path)


@pytest.mark.parametrize("name", ["cross_entropy", "focal", "dice", "lovasz", "ohem"])
def test_every_loss_falls_as_the_logits_improve(name):
    labels = np.array([[[0, 1], [2, 255]]], np.int32)
    right = np.eye(3, dtype=np.float32)[np.minimum(labels, 2)]
    loss = make_loss(LossConfig(name), np.ones(3, np.float32), False)
    values = [float(loss(k * right, labels)) for k in (0.0, 1.0, 3.0)]
    assert values[0] > values[1] > values[2] > 0
    both = make_loss(LossConfig(name), None, True)((right, right), labels)
    assert float(both) == pytest.approx(1.5 * values[1], rel=1e-5)


@pytest.mark.parametrize("name", ["unet", *NETS])
def test_every_net_goes_by_its_name(name):
    config = ModelConfig(name=name, **({"widths": (8, 16)} if name == "unet" else {}))
    net = nnx.eval_shape(lambda: build(config, 5, 3, nnx.Rngs(0)))
    assert nnx.eval_shape(lambda net, x: net(x), net, np.zeros((1, 40, 33, 3))).shape[-1] == 5


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"name": "fcn", "features": 8},
            r"features=8 has no effect: fcn .*leave --model\.features",
        ),
        ({"name": "lraspp", "width": 8}, "comes in one width"),
        ({"name": "unet", "auxiliary": True}, "unet has no second head"),
        ({"name": "unet", "backbone": "resnet50"}, "unet has no encoder to choose"),
        ({"name": "unet", "width": 32}, "unet has no encoder"),
        ({"name": "unet", "output_stride": 8}, r"leave --model\.output-stride out"),
        ({"name": "unet", "features": 8}, "unet has no head"),
        ({"name": "fcn8s", "widths": (8,)}, r"widths=\(8,\) has no effect: fcn8s is as wide"),
        ({"name": "drn", "residual": True}, "drn has the blocks of its encoder"),
        ({"name": "encoder_unet", "skips": "sum"}, "encoder_unet has no choice of long skips"),
        ({"name": "lraspp", "dropout": 0.3}, "lraspp drops nothing without an auxiliary head"),
        ({"name": "fcn", "backbone": "vgg"}, "'vgg' is unknown"),
    ],
)
def test_choices_that_a_net_has_not_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        build(ModelConfig(**fields), 5, 3, nnx.Rngs(0))


def test_the_data_set_chooses_the_preset():
    assert default_preset(["--data.name", "camvid"]) == "camvid"
    assert default_preset(["--data.name=voc"]) == "folder"
    assert default_preset([]) == "quick"


def test_the_state_begins_with_its_average(finished):
    info = load(finished.data).info
    state = start(finished.model, finished.optimizer, info, 12, 0)
    for a, b in zip(
        jax.tree.leaves(state.average), jax.tree.leaves((state.params, state.stats)), strict=True
    ):
        np.testing.assert_array_equal(a, b)
