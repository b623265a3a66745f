"""Runs that people trust: the best checkpoint, the files of the run, going on, beginning anew."""

import errno
import json
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from jaxseg import files
from jaxseg.commands import evaluate, train, train_loop
from jaxseg.commands.data import DataConfig, load
from jaxseg.commands.model import ModelConfig
from jaxseg.commands.run import evaluated, load_run, restore
from jaxseg.commands.train_config import Config
from jaxseg.data import Augmentation
from jaxseg.startup import Stopped
from jaxseg.training import OptimizerConfig, records, tables
from jaxseg.training.checkpoint import Checkpoints
from jaxseg.training.checkpoint.manifest import read_manifest, write_manifest

TINY = Config(
    model=ModelConfig(widths=(4,), dropout=0.0),
    data=DataConfig(name="folder", size=(8, 8)),
    augmentation=Augmentation(scale=(1.0, 1.0)),
    optimizer=OptimizerConfig(learning_rate=1e-2),
    steps=12,
    batch_size=2,
    log_every=5,
    evaluate_every=4,
    save_every=3,
)


@pytest.fixture(scope="module", autouse=True)
def _optax():
    """Optax mixes floats and integers."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="module", autouse=True)
def _no_figures():
    """Tables and figures take longer than these runs; `test_train` has them."""

    def summary(config, info, state, *_):
        text = f"step {int(state.step)} of {config.steps}"
        (config.out / "summary.md").write_text(text)
        return text

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "report", summary)
        yield


def add_pair(root, number):
    mask = np.zeros((8, 8), np.uint8)
    mask[: number % 5 + 1] = 1
    image = np.stack([mask * 100 + number] * 3, -1)
    Image.fromarray(image).save(root / "images" / f"{number:02}.png")
    Image.fromarray(mask).save(root / "masks" / f"{number:02}.png")


def make_images(root, count=12):
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    for number in range(count):
        add_pair(root, number)
    return root


def configure(folder, **changes):
    place = replace(TINY.data, directory=folder / "mine", data_dir=folder / "prepared")
    return replace(TINY, data=place, out=folder / "run", **changes)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A folder of images and a run of it, which no test changes."""
    folder = tmp_path_factory.mktemp("runs")
    make_images(folder / "mine")
    train.main(configure(folder))
    return folder


@pytest.fixture
def copy(first, tmp_path):
    """Copies of the images and of the run."""
    for name in ("mine", "run"):
        shutil.copytree(first / name, tmp_path / name)
    return tmp_path


def words(folder, *more):
    """The flags that lead to the images of a folder."""
    place = ["--data.directory", str(folder / "mine"), "--data.data-dir", str(folder / "prepared")]
    return ["--out", str(folder / "run"), *place, *more]


def log(folder, event=None):
    lines = (folder / "run" / "metrics.jsonl").read_text().splitlines()
    return [r for r in map(json.loads, lines) if event is None or r.get("event") == event]


def steps(folder):
    return Checkpoints(folder / "run" / "checkpoints", read_only=True).steps()


def weights(folder, checkpoint="last"):
    _, state = restore(folder / "run", checkpoint)
    return b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(evaluated(state)))


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def scores(values, monkeypatch):
    """Let evaluations on the validation split come out as given, the last one again and again."""
    left = list(values)

    def mean_iou(confusion):
        return left.pop(0) if len(left) > 1 else left[0]

    monkeypatch.setattr(train_loop.metrics, "mean_iou", mean_iou)


# --- logs, evaluations and checkpoints as asked --------------------------------------------------


def test_intervals_are_as_asked(tmp_path, monkeypatch):
    make_images(tmp_path / "mine")
    saved = []
    save = Checkpoints.save

    def spy(self, step, *args, **options):
        saved.append((step, options["metrics"] is not None))
        save(self, step, *args, **options)

    monkeypatch.setattr(Checkpoints, "save", spy)
    scores([0.5, 0.4, 0.3], monkeypatch)
    train.main(configure(tmp_path))
    assert [r["step"] for r in log(tmp_path) if "loss" in r] == [5, 10, 12]
    assert [r["step"] for r in log(tmp_path, "validation")] == [4, 8, 12]
    # Every third step, the best one, and the last; with a score where there was an evaluation.
    assert saved == [(3, False), (4, True), (6, False), (9, False), (12, True)]
    assert steps(tmp_path) == [4, 9, 12]


# --- the best checkpoint -------------------------------------------------------------------------


def test_the_best_checkpoint_is_kept_reported_and_taken(tmp_path, monkeypatch, capsys):
    make_images(tmp_path / "mine")
    scores([0.2, 0.6, 0.3], monkeypatch)
    train.main(configure(tmp_path, keep=1, save_every=100))
    printed = capsys.readouterr().out
    assert "The best mean IoU is 0.600, at step 8 (the last: 0.300)" in printed
    assert "step 8 of 12" in (tmp_path / "run" / "summary.md").read_text()
    assert steps(tmp_path) == [8, 12]
    run = tmp_path / "run"
    assert [load_run(run, checkpoint=c).step for c in ("best", "last", "8", "12")] == [8, 12, 8, 12]
    assert load_run(run).step == 8
    assert weights(tmp_path, "best") != weights(tmp_path, "last")
    monkeypatch.undo()
    flags = ["--run", str(run), "--data.data-dir", str(tmp_path / "prepared")]
    for choice, step in (([], 8), (["--checkpoint", "last"], 12), (["--checkpoint", "8"], 8)):
        evaluate.command([*flags, *choice])
        assert f"step {step}" in (run / "validation" / "summary.md").read_text()


def test_a_checkpoint_that_is_none_is_refused(first):
    for choice in ("beste", "-1", "1.5"):
        with pytest.raises(ValueError, match=rf"checkpoint='{choice}' must be best, last or the"):
            load_run(first / "run", checkpoint=choice)
    with pytest.raises(ValueError, match=r"no checkpoint of step 7.*--checkpoint"):
        load_run(first / "run", checkpoint="7")


def test_before_the_first_evaluation_the_newest_is_the_best(copy):
    for step in steps(copy):
        folder = copy / "run" / "checkpoints" / f"step-{step:08}"
        write_manifest(folder, replace(read_manifest(folder), metrics={}))
    assert load_run(copy / "run").step == 12


# --- patience ------------------------------------------------------------------------------------


def test_training_ends_with_its_patience(tmp_path, monkeypatch, capsys):
    make_images(tmp_path / "mine")
    scores([0.2, 0.5, 0.5, float("nan"), 0.4, 0.9], monkeypatch)
    config = configure(tmp_path, patience=3, evaluate_every=1, save_every=100, steps=20)
    train.main(config)
    # The third is as good as the second, but no better; of equal ones the later is kept.
    assert [r["step"] for r in log(tmp_path, "validation")] == [1, 2, 3, 4, 5]
    assert steps(tmp_path)[-1] == 5
    printed = capsys.readouterr().out
    assert "Ended at step 5: 3 evaluations in a row without a better mean IoU (--pat" in printed
    assert "step 3 of 20" in printed
    # Resumed, there is still none; with more patience it goes on.
    train.main(replace(config, resume=True, steps=25))
    again = f"To go on, raise it: jaxseg train --out {config.out} --resume --patience 6"
    assert again in capsys.readouterr().out
    assert steps(tmp_path)[-1] == 5
    train.main(replace(config, resume=True, patience=4, steps=7))
    assert [r["step"] for r in log(tmp_path, "validation")] == [1, 2, 3, 4, 5, 6, 7]
    assert load_run(tmp_path / "run").step == 7


# --- going on ------------------------------------------------------------------------------------


def test_the_folder_alone_goes_on_with_more_steps(first, copy, capsys, monkeypatch):
    monkeypatch.chdir(copy)
    train.command(["--out", "run", "--resume", *words(copy)[2:], "--steps", "15"])
    printed = capsys.readouterr().out
    assert "Going on from step 12" in printed
    assert "The run was to take 12 steps: from here on, the learning rate follows" in printed
    assert "the schedule of 15, and is 0.00235 now" in printed  # .01 * (1 - 12 / 15) ** .9
    rates = {r["step"]: r["learning_rate"] for r in log(copy) if "loss" in r}
    assert rates[15] == pytest.approx(0.01 * (1 - 14 / 15) ** 0.9, rel=1e-5)
    assert steps(copy)[-1] == 15
    assert json.loads((copy / "run" / "config.json").read_text())["steps"] == 15
    with pytest.raises(ValueError, match=r"has taken 15 steps, more than --steps 14"):
        train.command(["--out", "run", "--resume", "--steps", "14"])


def test_what_may_not_differ_is_refused_when_a_run_goes_on(copy):
    before = contents(copy / "run")
    for more, message in (
        (["--batch-size", "4"], r"batch_size: 2 there, 4 now"),
        (["--model.name", "fcn"], r"model\.name: 'unet' there, 'fcn' now"),
        (["--data.held-out", "0.2"], r"data\.held_out: None there, 0\.2 now"),
        (["--seed", "1"], r"seed: 0 there, 1 now"),
    ):
        with pytest.raises(ValueError, match=message):
            train.command(words(copy, "--resume", *more))
    assert contents(copy / "run") == before


def test_a_run_begun_from_a_relative_folder_is_evaluated_from_elsewhere(tmp_path, monkeypatch):
    make_images(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    place = replace(TINY.data, directory=Path("mine"), data_dir=Path("prepared"))
    train.main(replace(TINY, data=place, out=Path("run"), steps=1))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    dataset = load_run(tmp_path / "run").open_data()
    assert dataset.root == tmp_path / "mine"
    assert dataset.splits == {"train": 8, "validation": 2, "test": 2}


# --- the files of a run --------------------------------------------------------------------------


def test_the_files_are_listed_with_what_they_hold(first):
    run = load_run(first / "run")
    assert {split: len(pairs) for split, pairs in run.files.items()} == {
        "train": 8,
        "validation": 2,
        "test": 2,
    }
    for pairs in run.files.values():
        for pair in pairs:
            for name, digest in ((pair.image, pair.image_sha256), (pair.mask, pair.mask_sha256)):
                assert files.sha256(first / "mine" / name) == digest


def test_a_relabeled_mask_is_refused_by_name(copy):
    mask = copy / "mine" / "masks" / "03.png"
    status = mask.stat()
    pixels = np.asarray(Image.open(mask)).copy()
    pixels[0] = 1 - pixels[0]
    Image.fromarray(pixels).save(mask)
    os.utime(mask, ns=(status.st_atime_ns, status.st_mtime_ns))  # as some tools leave it
    before = contents(copy / "run")
    with pytest.raises(ValueError, match=r"masks/03\.png holds something else than when .*/run"):
        train.command(words(copy, "--resume"))
    assert contents(copy / "run") == before


@pytest.mark.parametrize("kind", ["images", "masks"])
def test_a_missing_file_is_refused_by_name(copy, kind):
    (copy / "mine" / kind / "05.png").unlink()
    with pytest.raises(ValueError, match=rf"{kind}/05\.png is missing, on which .*/run was"):
        train.command(words(copy, "--resume"))
    with pytest.raises(ValueError, match=rf"{kind}/05\.png is missing"):
        load_run(copy / "run").open_data(directory=copy / "mine")


def test_a_file_that_is_only_touched_is_the_same(copy):
    os.utime(copy / "mine" / "masks" / "03.png", (1, 1))
    train.command(words(copy, "--resume", "--steps", "13"))
    assert steps(copy)[-1] == 13


def test_a_grown_folder_keeps_the_splits_of_the_run(first, copy, capsys):
    for number in range(12, 30):
        add_pair(copy / "mine", number)
    run = load_run(copy / "run")
    dataset = run.open_data(directory=copy / "mine", data_dir=copy / "prepared")
    assert dataset.splits == {"train": 8, "validation": 2, "test": 2}
    printed = capsys.readouterr().out
    assert "18 new in " in printed
    assert "images/12.png" in printed
    trained = {pair.image for pair in run.files["train"]}
    for split in ("validation", "test"):
        names = {image.relative_to(copy / "mine").as_posix() for image, _ in dataset.pairs[split]}
        assert not names & trained
        assert names == {pair.image for pair in run.files[split]}
    # The run itself goes on with its own files.
    train.command(words(copy, "--resume", "--steps", "13"))
    assert "13 steps of 2 of the 8 training images" in capsys.readouterr().out


def test_evaluation_says_which_files_are_new_and_which_were_edited(copy, capsys):
    add_pair(copy / "mine", 12)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(copy / "mine" / "masks" / "00.png")
    flags = words(copy)[2:]
    evaluate.command(["--run", str(copy / "run"), *flags])
    printed = capsys.readouterr().out
    assert "1 new in " in printed
    assert f"Edited since {copy / 'run'} was trained: {copy}/mine/masks/00.png." in printed
    assert "(2 images at their own sizes)" in printed


def test_a_folder_that_was_moved_is_named_and_may_be_given(copy, first):
    shutil.move(copy / "mine", copy / "moved")
    run = load_run(copy / "run")
    moved = run.open_data(directory=copy / "moved", data_dir=copy / "prepared")
    assert moved.splits["train"] == 8
    path = copy / "run" / "config.json"
    path.write_text(path.read_text().replace(str(first / "mine"), str(copy / "mine")))
    with pytest.raises(ValueError, match=r"/mine, the images that .* is not there: .*--data\.dir"):
        load_run(copy / "run").open_data()


def test_other_classes_are_refused(copy):
    (copy / "mine" / "classes.txt").write_text("one\ntwo\n")
    with pytest.raises(ValueError, match=r"trained on other data \(class_names: "):
        train.command(words(copy, "--resume"))
    with pytest.raises(ValueError, match=r"trained on other data \(class_names: "):
        load_run(copy / "run").open_data(directory=copy / "mine")


def test_a_value_that_has_become_another_class_is_refused(tmp_path):
    root = tmp_path / "mine"
    make_images(root)
    present = {v for path in (root / "masks").iterdir() for v in np.unique(Image.open(path))}
    first, second, *rest = sorted(int(value) for value in present - {255})
    more = "".join(f"c{value} = {value}\n" for value in rest)
    # The first value of each class stays, so that only the whole table tells the two apart.
    (root / "classes.txt").write_text(f"a = 200, {first}\nb = 201, {second}\n{more}")
    train.main(configure(tmp_path, steps=1))
    train.main(configure(tmp_path, steps=1, resume=True))
    (root / "classes.txt").write_text(f"a = 200, {second}\nb = 201, {first}\n{more}")
    message = f"values of masks: {first} was 'a', is 'b' now, {second} was 'b', is 'a' now"
    with pytest.raises(ValueError, match=rf"on other data \({message}\): put that back"):
        train.main(configure(tmp_path, steps=2, resume=True))
    with pytest.raises(ValueError, match=message):
        evaluate.command(["--run", str(tmp_path / "run")])


def test_a_damaged_list_is_named(copy):
    (copy / "run" / "files.json").write_text("{}")
    with pytest.raises(ValueError, match=r"files\.json, the list of the files .*missing or dam"):
        load_run(copy / "run")


def test_a_data_set_of_fixed_splits_is_the_one_of_the_run(tmp_path):
    root = tmp_path / "mine"
    for split in ("train", "val", "test"):
        for number in range(2):
            for folder, value in ((split, 100), (f"{split}annot", number)):
                (root / folder).mkdir(parents=True, exist_ok=True)
                image = Image.new("RGB" if folder == split else "L", (8, 8), value)
                image.save(root / folder / f"{split}{number}.png")
    base = configure(tmp_path, steps=1)
    train.main(replace(base, data=replace(base.data, name="camvid")))
    run = load_run(tmp_path / "run")
    assert run.open_data().splits == {"train": 2, "validation": 2, "test": 2}
    assert [pair.image for pair in run.files["test"]] == ["test/test0.png", "test/test1.png"]
    for folder in ("val", "valannot"):
        shutil.copy(root / folder / "val0.png", root / folder / "val2.png")
    with pytest.raises(ValueError, match=r"val/val2\.png was not there when .*whose splits are"):
        run.open_data()


def test_the_draw_is_that_of_its_flags(tmp_path):
    make_images(tmp_path / "mine")
    base = configure(tmp_path, steps=1)
    data = replace(base.data, held_out=0.3, seed=5)
    train.main(replace(base, data=data))
    run = load_run(tmp_path / "run")
    assert {split: len(pairs) for split, pairs in run.files.items()} == {
        "train": 4,
        "validation": 4,
        "test": 4,
    }
    other = replace(base, data=replace(data, seed=6), out=tmp_path / "other")
    train.main(other)
    assert load_run(other.out).files["test"] != run.files["test"]


@pytest.mark.parametrize("option", [{"held_out": 0.3}, {"seed": 3}])
def test_a_draw_of_what_is_split_is_refused(tmp_path, option):
    for split in ("train", "validation"):
        make_images(tmp_path / "mine" / split, 3)
    base = configure(tmp_path)
    with pytest.raises(ValueError, match=r"have no effect: .* is split into train, validation"):
        train.main(replace(base, data=replace(base.data, **option)))
    mosaic = replace(base, data=DataConfig(name="mosaic", size=(8, 8), **option))
    with pytest.raises(ValueError, match=r"have no effect on mosaic"):
        train.main(mosaic)


# --- beginning anew ------------------------------------------------------------------------------


def test_a_new_run_replaces_the_old_one_once_it_has_a_checkpoint(copy, monkeypatch):
    (copy / "run" / "notes.txt").write_text("mine")
    checkpoints, discard = [], train_loop.RunFolder.discard

    def spy(self):
        checkpoints.append(steps(copy))
        discard(self)

    monkeypatch.setattr(train_loop.RunFolder, "discard", spy)
    train.main(configure(copy, overwrite=True, seed=1))
    assert checkpoints == [[3]]
    assert not (copy / "run" / ".previous").exists()
    assert (copy / "run" / "notes.txt").read_text() == "mine"
    assert [r["step"] for r in log(copy) if "loss" in r] == [5, 10, 12]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"space": 3}, "space=3 must divide"),
        ({"optimizer": OptimizerConfig(warmup=99)}, "warmup=99 must leave some"),
        ({"model": ModelConfig(backbone="resnet50")}, "has no effect: unet has no encoder"),
        (
            {"model": ModelConfig(weights=Path("missing.pth"))},
            "missing.pth is missing: correct --model",
        ),
    ],
)
def test_an_impossible_run_leaves_the_old_one_as_it_was(copy, change, message):
    before = contents(copy / "run")
    with pytest.raises(ValueError, match=message):
        train.main(configure(copy, overwrite=True, **change))
    assert contents(copy / "run") == before


def test_checkpoints_without_a_log_are_a_run(copy):
    (copy / "run" / "metrics.jsonl").unlink()
    with pytest.raises(ValueError, match=r"holds results of an earlier run: go on with --resume"):
        train.main(configure(copy))
    assert steps(copy)[-1] == 12


def test_a_run_that_was_tuned_goes_on_without_what_it_was_tuned_from(first, copy):
    shutil.rmtree(copy / "run")
    shutil.copytree(first / "run", copy / "older")
    model = replace(TINY.model, weights=copy / "older")
    train.main(configure(copy, model=model, steps=1))
    shutil.rmtree(copy / "older")
    train.main(configure(copy, model=model, steps=2, resume=True))
    assert steps(copy)[-1] == 2


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), Stopped(signal.SIGINT)]
)
def test_the_old_run_comes_back_if_the_new_one_ends_before_its_first_checkpoint(
    copy, error, monkeypatch, capsys
):
    before = contents(copy / "run")

    def fail(*args, **options):
        raise error

    monkeypatch.setattr(Checkpoints, "save", fail)
    with pytest.raises(type(error)):
        train.main(configure(copy, overwrite=True, seed=1))
    assert contents(copy / "run") == before
    assert "holds the run again that was about to be overwritten" in capsys.readouterr().out


def test_files_of_the_user_are_never_replaced(tmp_path):
    make_images(tmp_path / "mine")
    (tmp_path / "run").mkdir()
    for name in ("results.csv", "summary.md", "config.json", "curves.png"):
        (tmp_path / "run" / name).write_text("mine")
    before = contents(tmp_path / "run")
    for options in ({}, {"overwrite": True}):
        with pytest.raises(ValueError, match=r"holds config\.json, .*which jaxseg did not write"):
            train.main(configure(tmp_path, **options))
        assert contents(tmp_path / "run") == before
    assert not (tmp_path / "prepared").exists()


def test_a_run_without_a_checkpoint_says_how_to_go_on(copy):
    shutil.rmtree(copy / "run" / "checkpoints")
    (copy / "run" / "checkpoints").mkdir()
    with pytest.raises(
        ValueError, match=r"no checkpoint yet.*: go on by jaxseg train --out .*/run"
    ):
        load_run(copy / "run")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "folder"}, r"(?s)^directory=None .*\(--data\.directory\)$"),
        ({"name": "mosaic", "size": (4, 6)}, r"^size=\(4, 6\) .*\(--data\.size\)$"),
        ({"name": "camvit"}, r"^name='camvit' .*\(--data\.name\)$"),
    ],
)
def test_what_a_reader_refuses_is_named_as_a_flag(changes, message):
    with pytest.raises(ValueError, match=message):
        load(DataConfig(**changes))


# --- fine-tuning ---------------------------------------------------------------------------------


def test_weights_are_those_of_ones_own_run(first, copy, capsys):
    shutil.rmtree(copy / "run")
    model = replace(TINY.model, weights=first / "run")
    optimizer = OptimizerConfig(learning_rate=1e-30, weight_decay=0, average=0.5)
    train.main(configure(copy, model=model, optimizer=optimizer, steps=1))
    step, best = restore(first / "run", "best")
    assert f"12 of 12 arrays are those of {first / 'run'}, step {step}." in capsys.readouterr().out
    _, tuned = restore(copy / "run")
    for a, b in zip(jax.tree.leaves(tuned.params), jax.tree.leaves(best.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-20)


def test_a_run_of_other_classes_gives_all_but_its_classifier(first, tmp_path, capsys):
    root = make_images(tmp_path / "mine")
    mask = np.asarray(Image.open(root / "masks" / "00.png")).copy()
    mask[7] = 2
    Image.fromarray(mask).save(root / "masks" / "00.png")
    train.main(configure(tmp_path, model=replace(TINY.model, weights=first / "run"), steps=1))
    assert "; as drawn: params.classifier" in capsys.readouterr().out


def test_weights_of_another_net_are_refused(first, tmp_path):
    make_images(tmp_path / "mine")
    model = ModelConfig(name="lraspp", weights=first / "run")
    with pytest.raises(ValueError, match=r"hold nothing of this net"):
        train.main(configure(tmp_path, model=model, steps=1))


# --- stops and full disks ------------------------------------------------------------------------


def stop_at(step, monkeypatch):
    """Send SIGTERM while a step is under way."""
    due = train_loop.Training._due

    def asked(self, count):
        if count == step:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
        return due(self, count)

    monkeypatch.setattr(train_loop.Training, "_due", asked)


def test_a_stop_takes_a_step_and_changes_nothing(first, tmp_path, monkeypatch):
    shutil.copytree(first / "mine", tmp_path / "mine", copy_function=shutil.copy2)
    config = configure(tmp_path)
    for step in (1, 4, 7):
        with pytest.MonkeyPatch.context() as patch:
            stop_at(step, patch)
            with pytest.raises(Stopped) as caught:
                train.main(replace(config, resume=step > 1))
        assert steps(tmp_path)[-1] == step
        assert caught.value.signal == signal.SIGTERM
        assert caught.value.advice == (
            f"Step {step} is saved. To go on: jaxseg train --out {tmp_path / 'run'} --resume"
        )
    train.main(replace(config, resume=True))
    assert weights(tmp_path) == weights(first)
    for key in ("loss", "mean_iou"):
        ours, theirs = (
            [(r["step"], r[key]) for r in log(f) if key in r] for f in (tmp_path, first)
        )
        assert ours == theirs
    assert load_run(tmp_path / "run").step == load_run(first / "run").step


def test_a_stop_while_evaluating_is_obeyed_and_the_evaluation_made_up(first, tmp_path, monkeypatch):
    shutil.copytree(first / "mine", tmp_path / "mine", copy_function=shutil.copy2)
    with pytest.MonkeyPatch.context() as patch:
        padded = train_loop.data.padded_batches

        def slow(*args, **options):
            for batch in padded(*args, **options):
                os.kill(os.getpid(), signal.SIGINT)
                yield batch

        patch.setattr(train_loop.data, "padded_batches", slow)
        with pytest.raises(Stopped):
            train.main(configure(tmp_path))
    assert steps(tmp_path)[-1] == 4
    assert not log(tmp_path, "validation")
    train.main(configure(tmp_path, resume=True))
    for key in ("loss", "mean_iou"):
        ours, theirs = (
            [(r["step"], r[key]) for r in log(f) if key in r] for f in (tmp_path, first)
        )
        assert ours == theirs
    assert load_run(tmp_path / "run").step == load_run(first / "run").step


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path, first, monkeypatch):
    shutil.copytree(first / "mine", tmp_path / "mine", copy_function=shutil.copy2)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    written = []

    def write(folder, manifest):
        written.append(manifest.step)
        if manifest.step >= 6:
            raise full
        write_manifest(folder, manifest)

    records.write_config(tmp_path, TINY)
    flags = ["--config", str(tmp_path / "config.json"), *words(tmp_path)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxseg.training.checkpoint.checkpoints.write_manifest", write)
        with pytest.raises(OSError, match=r"^the checkpoint of step 6 cannot be written") as caught:
            train.command(flags)
    message = str(caught.value)
    assert "is full; of the earlier ones those of the steps [3, 4] are whole" in message
    assert message.endswith(f"go on: jaxseg train --out {tmp_path / 'run'} --resume")
    assert steps(tmp_path) == [3, 4]
    train.main(configure(tmp_path, resume=True))
    assert weights(tmp_path) == weights(first)


@pytest.mark.parametrize("name", ["metrics.jsonl", "config.json", "files.json", ".jaxseg"])
def test_a_disk_that_is_full_elsewhere_names_the_file(tmp_path, first, name, monkeypatch):
    """Writes of one file fail as on a full disk."""
    shutil.copytree(first / "mine", tmp_path / "mine", copy_function=shutil.copy2)
    write_bytes, append = files.write_bytes, tables.append_jsonl

    def full(path):
        if path.name == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(files, "write_bytes", lambda p, c: full(p) or write_bytes(p, c))
    monkeypatch.setattr(tables, "append_jsonl", lambda p, r: full(p) or append(p, r))
    with pytest.raises(OSError, match=rf"No space left on device: .*{name}"):
        train.main(configure(tmp_path))
