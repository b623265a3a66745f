"""An exported file says which classes its logits are of."""

import dataclasses
import importlib.util
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import data, interop
from jaxseg.commands import export
from jaxseg.commands.run import Run
from jaxseg.data.folders.file_lists import FileLists

NAMES = ("road", "fußgänger", 'a "quoted", comma')
INFO = data.DatasetInfo(
    name="streets",
    size=(24, 32),
    class_names=NAMES,
    palette=((1, 2, 3), (250, 0, 0), (0, 0, 0)),
    mean=(0.5, 0.25),
    std=(0.1, 0.2),
    crops=True,
)
EXPECTED = {
    "name": "streets",
    "size": [24, 32],
    "class_names": list(NAMES),
    "palette": [[1, 2, 3], [250, 0, 0], [0, 0, 0]],
    "mean": [0.5, 0.25],
    "std": [0.1, 0.2],
    "crops": True,
    "model": "tiny",
    "step": 7,
}
needs_export = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("jax2onnx", "onnxruntime")),
    reason="jax2onnx or onnxruntime is not installed",
)


def logits(images):
    mean, std = (jnp.float32(v).reshape(1, 1, 1, 2) for v in (INFO.mean, INFO.std))
    normal = (images - mean) / std
    return jnp.concatenate([normal, -normal[..., :1]], axis=-1)


@pytest.fixture
def run(monkeypatch):
    opened = Run(
        folder=Path("tiny"),
        config={"model": {"name": "tiny"}},
        info=INFO,
        step=7,
        logits=logits,
        lists=FileLists(None, {}),
    )
    monkeypatch.setattr(export, "load_run", lambda *_, **__: opened)
    return opened


@needs_export
def test_both_files_name_the_classes(run, tmp_path, capsys):
    export.main(export.Config(run=tmp_path, out=tmp_path / "out", size=(4, 5)))
    beside = json.loads((tmp_path / "out" / "net.json").read_text(encoding="utf-8"))
    inside = interop.read_onnx_metadata(tmp_path / "out" / "net.onnx")
    assert {key: json.loads(value) for key, value in inside.items()} == beside
    assert {key: beside[key] for key in EXPECTED} == EXPECTED
    assert beside["images"].startswith(
        "float32 (batch, height, width, 2), 8-bit numbers divided by 255"
    )
    assert beside["logits"] == "float32 (batch, height, width, 3)"
    assert "net.json" in capsys.readouterr().out
    net = interop.load_onnx(tmp_path / "out" / "net.onnx")
    images = np.random.default_rng(0).uniform(size=(1, 4, 5, 2)).astype(np.float32)
    np.testing.assert_allclose(net(images), logits(images), atol=1e-5)


def test_without_onnx_the_description_is_there_too(run, tmp_path):
    export.main(export.Config(run=tmp_path, out=tmp_path / "out", size=(4, 5), onnx=False))
    assert not (tmp_path / "out" / "net.onnx").exists()
    assert json.loads((tmp_path / "out" / "net.json").read_text())["class_names"] == list(NAMES)


@pytest.mark.parametrize("name", ["net.json", "net.stablehlo", "export.csv", "parity.png"])
def test_the_users_files_are_not_replaced(run, tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(ValueError, match=f"{name} would be replaced, but jaxseg did not write it"):
        export.main(export.Config(run=tmp_path, out=tmp_path, onnx=False))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: "mine"}


@pytest.mark.parametrize(
    ("dtype", "words"),
    [("uint8", "divided by 255"), ("uint16", "divided by 65535"), ("float32", "as they are")],
)
def test_the_description_says_what_the_numbers_of_images_are(run, dtype, words):
    opened = dataclasses.replace(run, info=dataclasses.replace(INFO, dtype=dtype))
    assert words in export.describe(opened)["images"]
