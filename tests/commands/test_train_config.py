"""The options of a run: from presets, from files, from the run that goes on; flags go over them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from jaxseg.commands.data import DataConfig
from jaxseg.commands.model import ModelConfig
from jaxseg.commands.train_config import PRESETS, Config, parse, read_config_file
from jaxseg.data import Augmentation
from jaxseg.training import OptimizerConfig, records

CONFIG = Config(
    model=ModelConfig(name="deeplabv3", backbone="resnet50", width=8, dropout=0.25),
    data=DataConfig(name="folder", directory=Path("/images"), size=(48, 64), held_out=0.2, seed=3),
    optimizer=OptimizerConfig(learning_rate=2e-3, average=0.9),
    augmentation=Augmentation(crop=(32, 32), scale=(1.0, 1.5)),
    steps=77,
    patience=4,
    out=Path("runs/x"),
    preset="folder",
)


def written(folder, config=CONFIG):
    folder.mkdir(parents=True, exist_ok=True)
    records.write_config(folder, replace(config, out=folder))
    return folder / "config.json"


def flags(*words):
    return parse([*words], None)


def test_the_config_of_a_run_is_read_back(tmp_path):
    path = written(tmp_path / "run")
    assert read_config_file(path) == replace(CONFIG, out=tmp_path / "run")
    given = flags("--config", str(path), "--steps", "9", "--out", "other")
    assert given == replace(CONFIG, steps=9, out=Path("other"), config=path)


def test_every_preset_is_read_back(tmp_path):
    for name, preset in PRESETS.items():
        config = replace(preset, preset=name)
        assert read_config_file(written(tmp_path / name, config)) == replace(
            config, out=tmp_path / name
        )


def test_a_file_by_hand_names_what_differs_from_a_preset(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"data": {"name": "camvid"}, "steps": 5}))
    preset = replace(PRESETS["camvid"], preset="camvid")
    assert read_config_file(path) == replace(preset, steps=5)
    path.write_text(json.dumps({"preset": "full", "optimizer": {"learning_rate": 1}}))
    expected = replace(PRESETS["full"].optimizer, learning_rate=1.0)
    assert read_config_file(path).optimizer == expected
    path.write_text(json.dumps({"preset": "quick", "model": {"name": "fcn8s"}}))
    assert read_config_file(path).model == ModelConfig(name="fcn8s")


def test_how_a_run_was_begun_is_not_read(tmp_path):
    path = written(tmp_path / "run", replace(CONFIG, overwrite=True))
    assert not flags("--config", str(path)).overwrite


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read as a configuration"),
        ("[]", "it holds no options by name"),
        ('{"stepz": 3}', r"stepz is no option\. Did you mean steps\?"),
        ('{"model": {"widhts": [8]}}', r"model\.widhts is no option\. Did you mean model\.widths"),
        ('{"steps": "many"}', r"steps='many' is not int"),
        ('{"steps": 3.5}', r"steps=3\.5 is not int"),
        ('{"steps": true}', r"steps=True is not int"),
        ('{"steps": 0}', r"--steps 0 must be at least 1"),
        ('{"model": {"name": "unetz"}}', r"model\.name='unetz' is not .*'unet'"),
        ('{"data": {"size": [3]}}', r"data\.size=\[3\] is not"),
        ('{"data": 5}', r"data=5 is not DataConfig"),
        ('{"optimizer": {"learning_rate": NaN}}', "learning_rate=nan must be above 0"),
        ('{"preset": "huge"}', "preset='huge' must be one of quick, folder, camvid, full"),
    ],
)
def test_a_file_that_holds_no_options_is_named(tmp_path, text, message):
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"mine\.json .*{message}"):
        flags("--config", str(path))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"none\.json cannot be read as a configuration"):
        flags("--config", str(tmp_path / "none.json"))


def test_a_preset_beside_a_file_is_refused(tmp_path):
    path = written(tmp_path / "run")
    with pytest.raises(ValueError, match=r"--preset quick and --config .* are both given"):
        flags("--preset", "quick", "--config", str(path))


def test_the_folder_alone_resumes(tmp_path):
    written(tmp_path / "run")
    out = tmp_path / "run"
    assert flags("--out", str(out), "--resume") == replace(CONFIG, out=out, resume=True)
    more = flags(f"--out={out}", "--resume", "--steps", "99", "--preset", "folder")
    assert more == replace(CONFIG, out=out, resume=True, steps=99)


def test_a_folder_without_a_run_is_not_resumed(tmp_path):
    with pytest.raises(ValueError, match=r"holds no run to go on with .*correct --out"):
        flags("--out", str(tmp_path), "--resume")
    assert not list(tmp_path.iterdir())


def test_what_contradicts_the_run_that_goes_on_is_refused(tmp_path):
    path = written(tmp_path / "run")
    out = ["--out", str(tmp_path / "run"), "--resume"]
    with pytest.raises(ValueError, match=r"was begun with --preset folder, not quick"):
        flags(*out, "--preset", "quick")
    with pytest.raises(ValueError, match=r"leave --config .* out"):
        flags(*out, "--config", str(path))


def test_a_preset_leaves_out_what_another_net_does_not_read():
    assert flags("--preset", "quick", "--model.name", "fcn8s").model == ModelConfig(name="fcn8s")
    unet = flags("--preset", "full", "--model.name", "unet").model
    assert unet == ModelConfig(name="unet", dtype="bfloat16")
    kept = flags("--preset", "full", "--model.name", "fcn").model
    assert kept.backbone == "resnet50"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--devices", "0"], "--devices 0 must be at least 1"),
        (["--seed", "-1"], "--seed -1 must be from 0"),
        (["--patience", "0"], "--patience 0 must be at least 1"),
        (["--optimizer.learning-rate", "nan"], "learning_rate=nan must be above 0 and finite"),
        (["--optimizer.learning-rate", "inf"], "learning_rate=inf must be above 0 and finite"),
        (["--data.held-out", "0.7"], "held_out=0.7"),
        (["--data.held-out", "nan"], "held_out=nan"),
        (["--data.seed", "-1"], "seed=-1"),
        (["--data.size", "0", "16"], "size=(0, 16)"),
    ],
)
def test_numbers_out_of_range_are_refused(words, message, capsys):
    with pytest.raises(SystemExit) as caught:
        flags(*words)
    assert caught.value.code == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())
