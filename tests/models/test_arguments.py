"""Arguments of nets and encoders: named in the signature, documented, and suggested."""

import dataclasses
import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from flax import nnx

from jaxseg import models

ROOT = Path(__file__).parents[2]
BUILT = {name: getattr(models, name) for name in models.__all__ if callable(getattr(models, name))}
# Not built by users: interfaces, and tuples of results.
for name in ("Encoder", "EncoderSize", "Segmenter", "Features", "Bottleneck"):
    del BUILT[name]
every_constructor = pytest.mark.parametrize("name", BUILT)


@every_constructor
def test_every_argument_is_named_typed_and_documented(name):
    signature = inspect.signature(BUILT[name])
    documented = re.findall(r"^    (\w+): [A-Z]", inspect.getdoc(BUILT[name]) or "", re.M)
    assert [d for d in documented if d != "ValueError"] == list(signature.parameters)
    for parameter in signature.parameters.values():
        assert parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        assert parameter.annotation is not parameter.empty


@every_constructor
def test_an_unknown_argument_is_refused_with_the_nearest_name(name):
    *_, last = inspect.signature(BUILT[name]).parameters
    with pytest.raises(TypeError, match=rf"{name}\(\) has no argument .*did you mean {last}\?"):
        BUILT[name](**{f"{last}x": 1})


def test_the_message_lists_all_arguments():
    with pytest.raises(TypeError) as refusal:
        models.UNet(classes=3, widht=8, rngs=nnx.Rngs(0))  # pyright: ignore
    assert str(refusal.value) == (
        "UNet() has no argument 'widht': did you mean widths? Its arguments are classes, inputs, "
        "widths, up, padding, skips, residual, norm, dropout, dtype, remat, rngs."
    )
    with pytest.raises(TypeError, match=r"'color'\. Its arguments are"):
        models.FCN(classes=3, color=8, rngs=nnx.Rngs(0))  # pyright: ignore
    with pytest.raises(TypeError, match=r"ResNetSize\(\) has no .*: did you mean width\?"):
        models.ResNetSize((1, 1, 1, 1), widht=8)  # pyright: ignore


def test_the_configuration_of_a_deep_net_has_its_arguments():
    fields = {f.name: f.default for f in dataclasses.fields(models.DeepNetConfig)}
    arguments = inspect.signature(models.DeepNet).parameters
    assert list(fields) == [name for name in arguments if name != "rngs"]
    for name, default in fields.items():
        if default is not dataclasses.MISSING:
            assert arguments[name].default == default


WRONG = """from flax import nnx
from jaxseg import models

rngs = nnx.Rngs(0)
models.UNet(classes=3, widths=(8, 16), rngs=rngs)
models.UNet(widht=8, classes=3, rngs=rngs)  # error
models.UNet(rngs=rngs)  # error
models.FCN(classes=3, backbone="resnet18", norm="layer", rngs=rngs)  # error
models.DeepNet(classes=3, blocks="many", rngs=rngs)  # error
models.make_encoder("resnet18", output_strides=8, rngs=rngs)  # error
models.ResNet("resnet18", output_stride=8, rngs=rngs)
models.ResNetSize((1, 1, 1, 1), widht=8)  # error
models.DeepNetConfig(classes=3, block=8)  # error
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("pyright") is None, reason="pyright is not installed")
def test_pyright_reports_wrong_arguments(tmp_path):
    (tmp_path / "wrong.py").write_text(WRONG)
    settings = {"extraPaths": [str(ROOT)], "typeCheckingMode": "basic"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    command = ["-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "wrong.py"]
    run = subprocess.run(
        [sys.executable, *command],
        cwd=tmp_path,
        env={**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.stdout.startswith("{"), run.stdout + run.stderr
    reported = json.loads(run.stdout)["generalDiagnostics"]
    lines = {d["range"]["start"]["line"] for d in reported if d["severity"] == "error"}
    assert lines == {n for n, line in enumerate(WRONG.splitlines()) if line.endswith("# error")}
