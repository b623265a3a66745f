"""Scores at each image's own size, of every class and of every image."""

import csv
import shutil
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pixel_net import COLORS, info, run, scene

from jaxseg import data, metrics
from jaxseg.commands import evaluate
from jaxseg.commands.evaluate_data import DataPlace, is_run_folder
from jaxseg.commands.evaluate_scores import boundary_f_scores, confusion
from jaxseg.commands.other_masks import mask_labels

SIZES = [(20, 31), (48, 40), (16, 24), (64, 20), (33, 33), (24, 36), (28, 30), (40, 44)]


def write(root, sizes=SIZES, values=(0, 1, 2, 255)):
    for number, shape in enumerate(sizes):
        image, label = scene(shape, number, noise=30 + 25 * number)
        label[: 1 + shape[0] // 8] = 3
        for kind, array in (("images", image), ("masks", np.array(values, np.uint8)[label])):
            (root / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(root / kind / f"p{number}.png")
    return root


@pytest.fixture
def net(monkeypatch, tmp_path):
    """A net and its folder: eight images of as many sizes, of which two are of the test split."""
    root = write(tmp_path / "mine")
    (root / "classes.txt").write_text("red\ngreen\nblue\n")
    dataset = data.folder(root, (16, 24), data_dir=tmp_path / "prepared")
    opened = run(dataset.info, dataset, str(root))
    monkeypatch.setattr(evaluate, "load_run", lambda *_, **__: opened)
    return opened


def rows(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_pixel_of_every_original_counts(net, tmp_path, capsys):
    out = tmp_path / "out"
    evaluate.command(["--split", "all", "--out", str(out), "--worst", "3"])
    assert {p.name for p in out.iterdir()} == {".jaxseg.jsonl", *evaluate.TABLES, *evaluate.FIGURES}
    images = rows(out / "images.csv")
    assert sorted((int(r["height"]), int(r["width"])) for r in images) == sorted(SIZES)
    assert {r["split"] for r in images} == {"train", "validation", "test"}
    pixels = sum(h * w - (1 + h // 8) * w for h, w in SIZES)
    assert sum(int(row["pixels"]) for row in images) == pixels
    counted = rows(out / "confusion.csv")
    assert sum(int(row[name]) for row in counted for name in net.info.class_names) == pixels
    assert rows(out / "results.csv")[-1]["pixels"] == str(pixels)
    text = capsys.readouterr().out
    assert "all splits (8 images at their own sizes), step 3" in text
    assert [r["class"] for r in rows(out / "results.csv")][:3] == ["red", "green", "blue"]


def test_the_rows_of_images_are_their_own_scores(net, tmp_path):
    evaluation = evaluate.main(evaluate.Config(split="test", out=tmp_path / "out"))
    table = rows(tmp_path / "out" / "images.csv")
    assert len(table) == len(evaluation.images) == len(net.open_data().originals("test"))
    for row, scores, original in zip(
        table, evaluation.images, net.open_data().originals("test"), strict=True
    ):
        assert (row["image"], row["mask"]) == tuple(map(str, original.paths))
        assert float(row["mean_iou"]) == metrics.mean_iou(scores.confusion)
        assert float(row["accuracy"]) == metrics.pixel_accuracy(scores.confusion)
        ious = [float(row[f"iou {name}"]) for name in net.info.class_names]
        np.testing.assert_array_equal(ious, metrics.intersection_over_union(scores.confusion))


def test_the_worst_images_are_the_worst(net, tmp_path):
    config = evaluate.Config(split="all", out=tmp_path / "out", worst=3)
    evaluation = evaluate.main(config)
    by_iou = sorted(evaluation.images, key=lambda scores: scores.mean_iou)
    assert [scores.image for scores, _ in evaluation.worst] == [s.image for s in by_iou[:3]]
    for scores, thumbnail in evaluation.worst:
        wrong = (thumbnail.label != thumbnail.prediction) & (thumbnail.label != 255)
        share = wrong.sum() / (thumbnail.label != 255).sum()
        expected = 1 - float(metrics.pixel_accuracy(scores.confusion))
        assert share == pytest.approx(expected, abs=0.2)
    assert len(evaluation.panel) == evaluate.PANEL


def test_prepared_sizes_only_if_asked_for(net, tmp_path, capsys):
    evaluate.command(["--split", "test", "--prepared", "--out", str(tmp_path / "out")])
    table = rows(tmp_path / "out" / "images.csv")
    assert {(row["height"], row["width"]) for row in table} == {("16", "24")}
    labels = [example["label"] for example in net.open_data().source("test")]
    assert [int(row["pixels"]) for row in table] == [int((a != 255).sum()) for a in labels]
    assert "of 16x24, as prepared" in capsys.readouterr().out


def test_another_folder_is_read_by_the_classes_of_the_run(net, tmp_path):
    """Its masks lack the first class, which must not shift the others."""
    other = write(tmp_path / "other", SIZES[:4], values=(1, 1, 2, 255))
    config = evaluate.Config(split="all", out=tmp_path / "o", data=DataPlace(directory=other))
    evaluation = evaluate.main(config)
    assert len(evaluation.images) == 4
    total = np.sum([scores.confusion for scores in evaluation.images], 0)
    assert total[0].sum() == 0
    assert total[1:].sum() == sum(h * w - (1 + h // 8) * w for h, w in SIZES[:4])
    assert total[2, 2] > 0.5 * total[2].sum()
    assert "other" in (tmp_path / "o" / "summary.md").read_text()
    with pytest.raises(ValueError, match=r"split='val' is not in the data, expected one of \['tr"):
        evaluate.main(evaluate.Config(split="val", out=tmp_path / "o", data=config.data))
    with pytest.raises(ValueError, match="leave out --prepared"):
        evaluate.main(evaluate.Config(prepared=True, out=tmp_path / "o", data=config.data))


def test_another_folder_of_other_classes_is_refused(net, tmp_path):
    other = write(tmp_path / "other", SIZES[:4])
    (other / "classes.txt").write_text("red\nblue\ngreen\n")
    words = ["--split", "all", "--data.directory", str(other), "--out", str(tmp_path / "out")]
    with pytest.raises(
        ValueError, match=r"classes\.txt lists the classes \['red', 'blue'.*trained"
    ):
        evaluate.command(words)
    (other / "classes.txt").unlink()
    write(tmp_path / "other", SIZES[:4], values=(0, 1, 7, 255))
    with pytest.raises(
        ValueError, match=r"p\d\.png' has the value 7, expected 0, 1, 2, 255.*add a classes"
    ):
        evaluate.command(words)
    with pytest.raises(ValueError, match=r"directory=.* is not a folder"):
        evaluate.command([*words[:2], "--data.directory", str(tmp_path / "none")])


def test_the_list_of_another_folder_says_what_its_masks_mean(net, tmp_path):
    other = write(tmp_path / "other", SIZES[:4], values=(1, 2, 0, 255))
    (other / "classes.txt").write_text("red = 1\ngreen = 2\nblue = 0\nignored = 255\n")
    place = DataPlace(directory=other)
    config = evaluate.Config(split="all", out=tmp_path / "o", data=place)
    total = np.sum([scores.confusion for scores in evaluate.main(config).images], 0)
    same = write(tmp_path / "same", SIZES[:4])
    place = DataPlace(directory=same)
    config = evaluate.Config(split="all", out=tmp_path / "s", data=place)
    expected = np.sum([scores.confusion for scores in evaluate.main(config).images], 0)
    np.testing.assert_array_equal(total, expected)


def test_a_drawn_share_of_another_folder_is_named(net, tmp_path, capsys):
    other = write(tmp_path / "other", SIZES[::-1])
    words = ["--data.directory", str(other), "--out", str(tmp_path / "out")]
    share = f"1 of 8 images: a share was drawn, as {other} is not split; --split all takes all"
    evaluate.command(words)
    assert share in capsys.readouterr().out
    evaluate.command([*words, "--split", "all"])
    assert "a share was drawn" not in capsys.readouterr().out
    split = tmp_path / "split"
    write(split / "train", SIZES[:2])
    write(split / "val", SIZES[2:4])
    evaluate.command(["--data.directory", str(split), *words[2:]])
    assert "a share was drawn" not in capsys.readouterr().out


def test_a_folder_of_the_same_names_is_not_that_of_the_run(net, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(tmp_path / "mine", moved)
    assert is_run_folder(net, moved)
    for path in sorted((moved / "masks").iterdir())[1:]:  # edited
        Image.fromarray(np.zeros(np.asarray(Image.open(path)).shape, np.uint8)).save(path)
    assert is_run_folder(net, moved)
    others = write(tmp_path / "others", SIZES[::-1])
    assert not is_run_folder(net, others)
    (moved / "images" / "p7.png").unlink()
    assert not is_run_folder(net, moved)


def test_a_folder_goes_with_a_net_of_the_mosaic(tmp_path, monkeypatch):
    opened = run(info(name="mosaic"))
    monkeypatch.setattr(evaluate, "load_run", lambda *_, **__: opened)
    other = write(tmp_path / "other", SIZES[:4])
    config = evaluate.Config(split="test", out=tmp_path / "o", data=DataPlace(directory=other))
    assert len(evaluate.main(config).images) == 1


def test_the_users_tables_are_not_replaced(net, tmp_path):
    (tmp_path / "results.csv").write_text("my own")
    with pytest.raises(ValueError, match=r"results\.csv would be replaced"):
        evaluate.command(["--split", "test", "--out", str(tmp_path)])
    assert (tmp_path / "results.csv").read_text() == "my own"
    out = tmp_path / "out"
    for _ in range(2):  # its own are
        evaluate.command(["--split", "test", "--out", str(out)])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ({0: 0, 1: 1, 2: 2, 255: 255}, False)),
        ({"mask_values": (1, 2, 255)}, ({1: 0, 2: 1, 255: 2}, False)),
        ({"mask_values": (4, 2, 0), "ignored_value": 9}, ({4: 0, 2: 1, 0: 2, 9: 255}, False)),
        (
            {"mask_values": COLORS, "ignored_value": (0, 0, 1)},
            ({0xC82828: 0, 0x28C828: 1, 0x2828C8: 2, 1: 255}, True),
        ),
    ],
)
def test_values_mean_what_they_meant_in_training(fields, expected):
    assert mask_labels(info(**fields)) == expected


@partial(jax.jit, static_argnums=2)
def metric(labels, predictions, tolerance):
    counts = metrics.boundary_counts(labels[None], predictions[None], 4, tolerance=tolerance)
    return metrics.boundary_f_score(counts)[0], metrics.confusion_matrix(labels, predictions, 4)


@settings(max_examples=40)
@given(
    st.tuples(*[st.integers(1, 40)] * 2), st.integers(0, 2**32 - 1), st.sampled_from([1, 3.5, 6])
)
def test_boundaries_are_scored_as_by_the_metric(shape, seed, tolerance):
    rng = np.random.default_rng(seed)
    labels, predictions = (scene(shape, int(k))[1] for k in rng.integers(0, 99, 2))
    labels[rng.uniform(size=shape) < 0.1] = 255
    # What lies beyond the image is ignored: one program serves all shapes.
    padded, others = np.full((40, 40), 255, np.uint8), np.zeros((40, 40), np.uint8)
    padded[: shape[0], : shape[1]], others[: shape[0], : shape[1]] = labels, predictions
    expected, counts = metric(jnp.asarray(padded), jnp.asarray(others), tolerance)
    scores = boundary_f_scores(labels, predictions, 4, tolerance=tolerance)
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    np.testing.assert_array_equal(confusion(labels, predictions, 4), counts)


def test_the_worst_must_be_some():
    with pytest.raises(ValueError, match="worst=0 must be at least 1"):
        evaluate.Config(worst=0)
