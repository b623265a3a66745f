"""What predict writes scores exactly what evaluate reports, whatever the sizes of the images."""

import csv
import tempfile
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pixel_net import COLORS, info, run, scene

from jaxseg import data, metrics
from jaxseg.commands import evaluate, predict, train
from jaxseg.commands.evaluate_scores import confusion
from jaxseg.commands.other_masks import mask_labels
from jaxseg.commands.segmentation import Segmenter
from jaxseg.data.folders.file_originals import FileOriginals
from jaxseg.data.images.image_files import FilePair
from jaxseg.data.masks.mask_files import read_values
from jaxseg.data.masks.mask_values import to_labels
from jaxseg.data.originals import Original
from jaxseg.training.inference import InferenceConfig, segment

IGNORED = {(): 255, (0, 255, 7): 9, COLORS: (1, 1, 1), (3, 60_000, 8): 1}
"""The value of ignored pixels, by the values of the classes."""


def save_pair(root, name, image, label, dataset_info):
    """Write an image and its mask in the values of the data set."""
    values = [*(dataset_info.mask_values or range(3)), *[0] * 252, dataset_info.ignored_value]
    paths = FilePair(root / "images" / f"{name}.png", root / "masks" / f"{name}.png")
    for path in paths:
        path.parent.mkdir(exist_ok=True)
    Image.fromarray(image).save(paths.image)
    if isinstance(values[0], tuple):
        values = [v if isinstance(v, tuple) else (v,) * 3 for v in values]
        Image.fromarray(np.array(values, np.uint8)[label]).save(paths.mask)
    else:
        kind = np.uint16 if max(values) > 255 else np.uint8
        Image.fromarray(np.array(values, kind)[label]).save(paths.mask)
    return paths


def read_mask(path, dataset_info):
    """Read a mask as a user would: by its numbers, of 16 bits too, or its colors."""
    labels, colored = mask_labels(dataset_info)
    if max(labels) > 255 and not colored:
        with Image.open(path) as mask:
            return to_labels(np.asarray(mask).astype(np.int32), labels, path)
    return to_labels(read_values(path, colored=colored), labels, path)


SIDES = st.integers(1, 70)


@settings(max_examples=20)
@given(
    sizes=st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=3),
    size=st.tuples(st.integers(4, 40), st.integers(4, 40)),
    keep_aspect=st.booleans(),
    mask_values=st.sampled_from(list(IGNORED)),
)
def test_written_masks_score_what_evaluate_reports(sizes, size, keep_aspect, mask_values):
    dataset_info = info(
        size, keep_aspect=keep_aspect, mask_values=mask_values, ignored_value=IGNORED[mask_values]
    )
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        root, pairs = Path(folder), []
        for number, shape in enumerate(sizes):
            image, label = scene(shape, number)
            label[: shape[0] // 4] = 255
            pairs.append(save_pair(root, f"p{number}", image, label, dataset_info))
        net = run(dataset_info)
        originals = [
            Original(np.asarray(Image.open(p.image)), read_mask(p.mask, dataset_info), p)
            for p in pairs
        ]
        evaluation = evaluate.evaluate(net, {"test": originals}, evaluate.Config())
        patch.setattr(predict, "load_run", lambda *_, **__: net)
        config = predict.Config(images=(str(root / "images"),), out=root / "out", overlay=False)
        assert predict.main(config) == 0
        for pair, reported in zip(pairs, evaluation.images, strict=True):
            written = read_mask(root / "out" / f"{pair.image.stem}_mask.png", dataset_info)
            label = read_mask(pair.mask, dataset_info)
            np.testing.assert_array_equal(confusion(label, written, 3), reported.confusion)
            assert reported.confusion.sum() == (label != 255).sum()


def draw_scene(number):
    """A drawn scene of 320 x 160: a disk, a thin bar and noise."""
    rng = np.random.default_rng(number)
    rows, columns = np.indices((160, 320))
    label = np.zeros((160, 320), np.uint8)
    center, radius = rng.uniform((40, 60), (120, 260)), rng.uniform(20, 36)
    label[np.hypot(rows - center[0], columns - center[1]) < radius] = 1
    top, left = rng.integers(10, 130), rng.integers(10, 250)
    label[top : top + 16, left : left + 50] = 2
    colors = np.array([(90, 110, 90), (170, 90, 80), (90, 90, 190)])
    image = colors[label] + rng.normal(0, 25, (160, 320, 3))
    return np.clip(image, 0, 255).astype(np.uint8), label


@pytest.mark.slow
def test_a_net_trained_on_wide_scenes_predicts_as_it_is_evaluated(tmp_path):
    for number in range(40):
        image, label = draw_scene(number)
        paths = [tmp_path / "scenes" / kind / f"{number:02}.png" for kind in ("images", "masks")]
        for path, array in zip(paths, (image, label), strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(path)
    place = ["--data.name", "folder", "--data.directory", str(tmp_path / "scenes")]
    place += ["--data.size", "64", "64", "--data.data-dir", str(tmp_path / "data")]
    out = tmp_path / "run"
    with jax.numpy_dtype_promotion("standard"):  # Optax mixes floats and integers
        train_and_compare(place, out)


def train_and_compare(place, out):
    words = ["--model.widths", "8", "16", "--steps", "250", "--optimizer.learning-rate", "0.005"]
    train.command([*place, *words, "--out", str(out)])
    evaluate.command(["--run", str(out), "--split", "test"])
    with (out / "test" / "images.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    images = [row["image"] for row in rows]
    assert predict.command(["--run", str(out), "--images", *images]) == 0
    total = np.zeros((3, 3), np.int64)
    for row in rows:
        written = read_values(out / "predictions" / f"{Path(row['image']).stem}_mask.png")
        counts = confusion(np.asarray(Image.open(row["mask"])), written, 3)
        assert float(row["mean_iou"]) == metrics.mean_iou(counts)
        total += counts
    with (out / "test" / "results.csv").open() as file:
        reported = [float(row["iou"]) for row in csv.DictReader(file)]
    ious = metrics.intersection_over_union(total)
    np.testing.assert_array_equal(reported[:3], ious)
    # Seen at another scale than in training, the second was .01.
    assert min(ious) > 0.5


@pytest.mark.parametrize("shape", [(96, 64), (64, 96), (7, 90), (33, 20)])
@pytest.mark.parametrize("keep_aspect", [True, False])
def test_the_net_sees_what_training_prepared(tmp_path, shape, keep_aspect):
    image, label = scene(shape)
    pairs = []
    for name in "abcd":
        pairs.append(save_pair(tmp_path, name, image, label, info(ignored_value=255)))
    dataset = data.folder(
        tmp_path, (48, 32), keep_aspect=keep_aspect, data_dir=tmp_path / "prepared"
    )
    assert dataset.info.keep_aspect is keep_aspect
    segmenter, shown = Segmenter(run(dataset.info), evaluate.Config().inference), []

    def record(image):
        shown.append(image)
        return np.full((*image.shape[:2], dataset.info.classes), 1 / 3, np.float32)

    segmenter._probabilities = record
    labels = segmenter(predict.read(pairs[0].image, dataset.info))
    assert labels.shape == shape
    np.testing.assert_array_equal(shown[0], dataset.source("test")[0]["image"])


@pytest.mark.parametrize("window", [None, (16, 24)])
def test_a_net_of_crops_sees_images_unscaled_in_both_commands(tmp_path, monkeypatch, window):
    dataset_info = info((16, 24), crops=True, ignored_value=255)
    net, pairs = run(dataset_info), []
    for number, shape in enumerate(((50, 40), (7, 90), (16, 24))):
        image, label = scene(shape, number)
        label[: shape[0] // 4] = 255
        pairs.append(save_pair(tmp_path, f"p{number}", image, label, dataset_info))
    inference = InferenceConfig(window=window)
    originals = FileOriginals(
        pairs,
        mask_labels(dataset_info)[0],
        colored=False,
        channels=3,
        dtype="uint8",
        mask_orientation="unknown",
    )
    evaluation = evaluate.evaluate(net, {"test": originals}, evaluate.Config(inference=inference))
    monkeypatch.setattr(predict, "load_run", lambda *_, **__: net)
    config = predict.Config(
        images=(str(tmp_path / "images"),), out=tmp_path / "out", inference=inference
    )
    assert predict.main(config) == 0
    for pair, original, reported in zip(pairs, originals, evaluation.images, strict=True):
        written = read_mask(tmp_path / "out" / f"{pair.image.stem}_mask.png", dataset_info)
        np.testing.assert_array_equal(confusion(original.label, written, 3), reported.confusion)
        expected = segment(net.logits, original.image, inference, classes=3)
        np.testing.assert_array_equal(written, expected)
