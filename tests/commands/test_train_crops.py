"""Training on crops at native resolution, from a folder to a run, and on after a stop."""

import csv
import json
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest
from PIL import Image

from jaxseg import data
from jaxseg.commands import inspect, train
from jaxseg.commands.data import DataConfig, load
from jaxseg.commands.model import ModelConfig
from jaxseg.commands.run import start
from jaxseg.commands.train_data import crop_options
from jaxseg.data import Augmentation
from jaxseg.training import OptimizerConfig
from jaxseg.training.checkpoint import Checkpoints

SIZES = ((40, 70), (12, 90), (33, 33), (64, 20), (50, 50))


@pytest.fixture(scope="module", autouse=True)
def _optax():
    """Optax mixes floats and integers."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of six steps on crops of 16 x 24 pixels; its checkpoints of the steps 3 and 6 stay."""
    folder = tmp_path_factory.mktemp("crops")
    draw = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / "own" / kind).mkdir(parents=True)
    for number, size in enumerate(SIZES):
        mask = (np.indices(size).sum(0) // 8 % 2).astype(np.uint8)
        image = (60 + 120 * mask[..., None] + draw.integers(0, 20, (*size, 3))).astype(np.uint8)
        Image.fromarray(image).save(folder / "own" / "images" / f"{number}.png")
        Image.fromarray(mask).save(folder / "own" / "masks" / f"{number}.png")
    config = train.Config(
        model=ModelConfig(widths=(4,)),
        data=DataConfig(
            name="folder",
            directory=folder / "own",
            size=(16, 24),
            crops=True,
            data_dir=folder / "data",
        ),
        augmentation=Augmentation(scale=(0.8, 1.2), brightness=0.2),
        optimizer=OptimizerConfig(learning_rate=1e-2),
        steps=6,
        batch_size=4,
        log_every=3,
        evaluate_every=3,
        save_every=3,
        keep=3,
        out=folder / "run",
    )
    train.main(config)
    return config


def parameters(config):
    info = load(config.data).info
    like = jax.eval_shape(lambda: start(config.model, config.optimizer, info, 6, 0))
    with Checkpoints(config.out / "checkpoints", read_only=True) as checkpoints:
        state = checkpoints.restore(like, 6).state
    return b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state.params))


def test_the_size_is_said_to_be_that_of_crops(finished, tmp_path, capsys):
    inspect.main(inspect.Config(data=finished.data, out=tmp_path / "out"))
    printed = capsys.readouterr().out
    assert "folder: images of their own sizes, for crops of 16x24 pixels, 3 channels" in printed
    assert "on folder, crops of 16x24 pixels" in (finished.out / "summary.md").read_text()


def test_validation_counts_every_pixel_once(finished):
    record = json.loads((finished.out / "dataset.json").read_text())
    assert record["crops"] is True
    assert record["size"] == [16, 24]
    with (finished.out / "results.csv").open() as file:
        counted = {row["class"]: row["pixels"] for row in csv.DictReader(file)}
    labels = [example["label"] for example in load(finished.data).source("validation")]
    expected = sum(np.bincount(label.ravel(), minlength=2) for label in labels)
    assert [int(counted["class 0"]), int(counted["class 1"])] == expected.tolist()
    assert (finished.out / "panel.png").exists()


def test_a_resumed_run_is_the_run_that_never_stopped(finished, tmp_path):
    again = replace(finished, out=tmp_path / "run", resume=True, resume_step=3)
    shutil.copytree(finished.out, again.out)
    shutil.rmtree(again.out / "checkpoints" / "step-00000006")
    train.main(again)
    assert parameters(again) == parameters(finished)


def test_larger_crops_are_read_where_images_may_shrink():
    info = data.DatasetInfo("x", (16, 24), ("a",), ((0, 0, 0),), (0.5,), (0.2,), crops=True)
    crop, augmentation = crop_options(Augmentation(scale=(0.5, 2.0)), info)
    assert (crop, augmentation.crop) == ((32, 48), (16, 24))
    crop, augmentation = crop_options(Augmentation(scale=(1.0, 2.0), crop=(8, 8)), info)
    assert (crop, augmentation.crop) == ((8, 8), (8, 8))
    resized = replace(info, crops=False)
    options = Augmentation(scale=(0.5, 2.0))
    assert crop_options(options, resized) == (None, options)
