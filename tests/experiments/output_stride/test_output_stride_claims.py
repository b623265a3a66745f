"""Verdicts are orders beyond the seeds' ranges, and the table has a line an arm."""

import pytest

from experiments.output_stride import claims


def rows(ious):
    return [
        {
            "arm": arm,
            "seed": seed,
            "mean_iou": iou,
            "pixel_accuracy": iou + 0.1,
            "parameters": 1234,
            "multiply_adds": 2_500_000,
            "field": 459,
            "images_per_second": 10.0 + seed,
        }
        for arm, seeds in ious.items()
        for seed, iou in enumerate(seeds)
    ]


CLASSES = 11
STRIDES = {"stride 4": [0.5, 0.6], "stride 8": [0.4, 0.45], "stride 32": [0.1, 0.2]}
SKIPS = {"fcn8s": [0.3, 0.4], "fcn16s": [0.3, 0.35], "fcn32s": [0.1, 0.2]}


def test_the_verdict_is_the_order_beyond_the_seeds_spread():
    by_stride, by_skip = claims.verdicts(rows(STRIDES | SKIPS), CLASSES)
    assert (by_stride.heading, by_stride.verdict) == ("Dilation", "agrees")
    assert by_stride.theory.startswith("mean IoU: stride 4 > stride 8 > stride 32")
    assert "stride 4 0.550 (0.500 to 0.600); stride 8" in by_stride.measured
    assert (by_skip.heading, by_skip.verdict) == ("Segmentation", "not shown")
    assert by_skip.theory.startswith("mean IoU: FCN-8s > FCN-16s > FCN-32s")
    reversed_strides = {"stride 4": [0.1, 0.2], "stride 32": [0.5, 0.6]}
    assert claims.verdicts(rows(reversed_strides), CLASSES)[0].verdict == "disagrees"
    better_without = {"fcn8s": [0.1, 0.2], "fcn32s": [0.5, 0.6]}
    assert claims.verdicts(rows(better_without), CLASSES)[1].verdict == "disagrees"


@pytest.mark.parametrize("ious", [{}, {"stride 4": [0.5, 0.6], "fcn8s": [0.3, 0.4]}])
def test_an_order_of_one_arm_is_not_asked(ious):
    for verdict in claims.verdicts(rows(ious), CLASSES):
        assert verdict.verdict == "not shown"
        assert verdict.theory.startswith(f"not asked: {len(ious) // 2} of the arms")


def test_one_seed_shows_no_order():
    single = {"stride 4": [0.5], "stride 32": [0.1]}
    assert claims.verdicts(rows(single), CLASSES)[0].verdict == "not shown"


@pytest.mark.parametrize(("classes", "word"), [(2, "agrees"), (1, "not shown")])
def test_nets_no_better_than_one_class_everywhere_show_no_order(classes, word):
    """Whose mean IoU is at most 1 / classes."""
    by_stride, _ = claims.verdicts(rows(STRIDES), classes)
    assert by_stride.verdict == word
    assert ("no net has learned" in by_stride.measured) == (word == "not shown")


def test_the_table_has_a_line_an_arm():
    table = claims.arm_table(rows(STRIDES | {"fcn8s": [0.3, 0.35, 0.9]}))
    lines = {row[0]: row[1:] for row in table.rows}
    assert list(lines) == [*STRIDES, "FCN-8s"]
    assert lines["FCN-8s"] == (
        "0.350 (0.300 to 0.900)",
        "0.450 (0.400 to 1.000)",
        "2.5",
        "1,234",
        "459",
        "11.0",
    )
