"""Arms are trained and evaluated once each, by the commands, and read from what these leave."""

import json
from dataclasses import replace

import pytest

from experiments.output_stride import study
from experiments.output_stride.config import PRESETS
from jaxseg.studies import Results
from jaxseg.training import tables

TABLE = {"brick": 0.2, "grass": float("nan"), "mean of classes": 0.3, "all pixels": 0.4}
"""IoU by row of an evaluation; its accuracy is larger by a half."""


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Stand-ins for both commands, which leave what the study reads: their configurations."""
    trained, evaluated = [], []

    def train(config):
        trained.append(config)
        config.out.mkdir(parents=True, exist_ok=True)
        lines = [{"step": 1, "loss": 1.0}]
        lines += [
            {"step": n, "images_per_second": speed} for n, speed in ((2, 4.0), (3, 8.0), (4, 9.0))
        ]
        (config.out / "metrics.jsonl").write_text(
            "".join(json.dumps(line) + "\n" for line in lines)
        )

    def evaluate(config):
        evaluated.append(config)
        print("a table")
        (config.run / config.split).mkdir(exist_ok=True)
        rows = [
            {
                **dict.fromkeys(study.evaluate.RESULTS, 0.1),
                "class": name,
                "pixels": 4,
                "iou": iou,
                "accuracy": iou + 0.5,
            }
            for name, iou in TABLE.items()
        ]
        path = config.run / config.split / "results.csv"
        tables.write_csv(path, list(study.evaluate.RESULTS), rows)

    monkeypatch.setattr(study.train, "main", train)
    monkeypatch.setattr(study.evaluate, "main", evaluate)
    monkeypatch.setattr(
        study, "costs", lambda *_: {"parameters": 3, "multiply_adds": 4_000_000, "field": 5}
    )
    arms = ("stride 32", "stride 8", "fcn8s")
    return replace(PRESETS["tiny"], out=tmp_path, arms=arms), trained, evaluated


def test_a_run_is_read_from_what_the_commands_leave(commands, capsys):
    config, trained, evaluated = commands
    row, ious = study.run_arm(config, "stride 8", 1)
    assert row == {
        "arm": "stride 8",
        "seed": 1,
        "mean_iou": 0.3,
        "pixel_accuracy": 0.9,
        "parameters": 3,
        "multiply_adds": 4_000_000,
        "field": 5,
        "images_per_second": 8.0,
    }
    assert [(r["arm"], r["seed"], r["class"]) for r in ious] == [
        ("stride 8", 1, "brick"),
        ("stride 8", 1, "grass"),
    ]
    assert evaluated[0].run == trained[0].out == config.out / "stride8-1"
    assert evaluated[0].split == "test"
    assert "a table" not in capsys.readouterr().out


def test_each_arm_is_described_for_the_command():
    config = replace(PRESETS["tiny"], resume=False, steps=40)
    training = study.train_config(config, "stride 8", 3, config.out / "stride8-3")
    assert (training.model.name, training.model.output_stride) == ("fcn", 8)
    assert (training.model.width, training.model.dropout) == (4, 0.0)
    assert (training.data.name, training.data.size) == ("mosaic", (32, 32))
    assert training.data.data_dir is config.data_dir
    assert (training.seed, training.steps, training.batch_size, training.devices) == (3, 40, 2, 1)
    assert (training.optimizer.learning_rate, training.optimizer.warmup) == (2e-3, 2)
    assert (training.evaluate_every, training.save_every, training.keep) == (40, 10, 1)
    assert (training.augmentation.crop, training.augmentation.scale) == ((32, 32), (0.8, 1.25))


@pytest.mark.parametrize(
    ("resume", "overwrite", "begun", "expected"),
    [
        (False, False, True, (False, True)),  # what is in the run's folder is of another study
        (False, True, True, (False, True)),
        (True, False, True, (True, False)),
        (True, False, False, (False, False)),
    ],
)
def test_a_run_goes_on_only_where_the_study_does(tmp_path, resume, overwrite, begun, expected):
    config = replace(PRESETS["tiny"], resume=resume, overwrite=overwrite)
    if begun:
        (tmp_path / "config.json").write_text("{}")
    training = study.train_config(config, "fcn8s", 0, tmp_path)
    assert (training.resume, training.overwrite) == expected


def test_what_is_there_is_not_run_again(commands):
    config, trained, _ = commands
    findings = study.run(config)
    assert [c.out.name for c in trained] == ["stride32-0", "stride8-0", "fcn8s-0"]
    assert [row[0] for row in findings.tables[0].rows] == ["stride 32", "stride 8", "FCN-8s"]
    assert [v.verdict for v in findings.verdicts] == ["not shown"] * 2
    trained.clear()
    study.run(replace(config, resume=True))
    assert trained == []
    findings = study.run(replace(config, resume=True, seeds=2, arms=("fcn16s", "stride 8")))
    assert [c.out.name for c in trained] == ["fcn16s-0", "fcn16s-1", "stride8-1"]
    assert "2 seeds." in findings.about
    # In the order of the arms, whatever the order of the runs.
    assert [row[0] for row in findings.tables[0].rows] == [
        "stride 32",
        "stride 8",
        "FCN-16s",
        "FCN-8s",
    ]


def test_classes_of_a_run_that_was_killed_behind_them_are_replaced(commands):
    config, trained, _ = commands
    study.run(config)
    path = config.out / "results.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    trained.clear()
    study.run(replace(config, resume=True))
    assert [c.out.name for c in trained] == ["fcn8s-0"]
    classes = Results(config.out / "classes.csv", study.CLASSES, resume=True)
    assert len(classes.select(arm="fcn8s")) == 2


def test_costs_are_those_of_the_whole_net(tmp_path):
    config = replace(PRESETS["tiny"], data_dir=tmp_path)
    by_arm = {}
    for arm in ("stride 32", "stride 8"):
        training = study.train_config(config, arm, 0, tmp_path)
        by_arm[arm] = study.costs(training.data, training.model)
    assert by_arm == {
        "stride 32": {"parameters": 46727, "multiply_adds": 187672, "field": 499},
        "stride 8": {"parameters": 46727, "multiply_adds": 812416, "field": 459},
    }
