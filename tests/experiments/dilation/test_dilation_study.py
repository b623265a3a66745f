"""The dilation study measures every seed's net before and after training."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np

from experiments.dilation import study
from experiments.dilation.claims import FIELDS
from experiments.dilation.config import PRESETS
from experiments.dilation.nets import ARMS, DilationNet
from jaxseg import analysis, nn
from jaxseg.studies import Results

CONFIG = PRESETS["tiny"]


def box(params, stats, images, train=False):
    """A net whose logit is the mean of a 3x3 window of the image, times a parameter."""
    del train
    kernel = jnp.ones((3, 3, 1, 1)) / 9
    y = jax.lax.conv_general_dilated(
        images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return params * jnp.concatenate([y, -y], axis=-1), stats


def test_a_view_is_of_the_fields_of_four_pixels():
    images = jax.random.normal(jax.random.key(0), (8, 29, 29, 1))
    view = study.view(box, CONFIG, jnp.float32(3), (), jax.random.key(1), images)
    # The window's second moment along an axis is 2/3, without any weights.
    np.testing.assert_allclose(view["width"], (2 / 3) ** 0.5, rtol=1e-5)
    assert view["energy"].shape == (29, 29)
    middle = 29 // 8 * 4
    support = np.argwhere(np.asarray(view["energy"]) > 0)
    assert support.min(axis=0).tolist() == [middle - 1] * 2
    assert support.max(axis=0).tolist() == [middle + 1] * 2
    assert view["logits"].shape == (study.SHOWN, 29, 29, 2)
    logits, _ = box(jnp.float32(3), (), images)
    # 28 is the largest multiple of 4, so that the periods 2 and 4 are among the frequencies.
    np.testing.assert_allclose(view["spectrum"], analysis.axis_spectrum(logits, 28), rtol=1e-5)
    np.testing.assert_allclose(view["logits"], logits[:3], rtol=1e-5)
    for period in (2, 4):
        expected = analysis.gridding_energy(logits, period)
        np.testing.assert_allclose(view[f"gridding_{period}"], expected, rtol=1e-5)


def test_the_field_is_averaged_over_the_phases_of_a_stride():
    """Here every fourth row alone looks farther than its own pixel."""

    def striped(params, stats, images, train=False):
        fourth = (jnp.arange(images.shape[1]) % 4 == 3)[None, :, None, None]
        logits, _ = box(params, stats, images)
        return jnp.where(fourth, logits, jnp.concatenate([images, -images], axis=-1)), stats

    images = jax.random.normal(jax.random.key(0), (8, 29, 29, 1))
    view = study.view(striped, CONFIG, jnp.float32(1), (), jax.random.key(1), images)
    np.testing.assert_allclose(view["width"], (2 / 3 / 4) ** 0.5, rtol=1e-5)


def test_costs_are_those_of_the_whole_net():
    arm = ARMS["strided"]
    init, apply = nn.functional(
        lambda rngs: DilationNet(arm, classes=3, inputs=1, features=4, rngs=rngs)
    )
    start = jax.tree.map(lambda a: a[None], jax.jit(init)(jax.random.key(0)))
    costs = study.costs(SimpleNamespace(apply=apply, start=start), CONFIG, 1)
    # A logit is interpolated from two scores an axis, four pixels apart.
    assert costs["field"] == arm.coverage.size + arm.output_stride
    assert costs["multiply_adds"] > 0


def test_every_seed_has_a_row_a_stage(tmp_path):
    runs = [
        {"seed": seed, "learning_rate": 0.1, "train_loss": 0.2, "mean_iou": 0.5} for seed in (0, 1)
    ]
    calls, arrays = [], {}

    def measure(fn, nets, images, *, each):
        calls.append(len(each[0]))
        names = ("width", "gridding_2", "gridding_4", "energy", "logits", "spectrum")
        return {name: nets * (1 + number) for number, name in enumerate(names)}

    trained = SimpleNamespace(
        apply=box,
        names={"arm": "plain"},
        start=np.array([1.0, 2.0]),
        at_best=lambda: np.array([10.0, 20.0]),
        best_rows=lambda: runs,
        measure=measure,
    )
    sweep = SimpleNamespace(
        validation_batch=lambda: {"image": None},
        write_array=lambda kind, array, *, stage, arm: arrays.update({(kind, stage, arm): array}),
    )
    fields = Results(tmp_path / "fields.csv", FIELDS, resume=False)
    for _ in range(2):  # what is there is replaced
        study.measure_fields(CONFIG, sweep, trained, fields)
    assert calls == [2] * 4
    rows = [(r["seed"], r["stage"], r["width"], r["gridding_4"]) for r in fields.rows]
    assert rows == [
        (0, "before", 1, 3),
        (1, "before", 2, 6),
        (0, "after", 10, 30),
        (1, "after", 20, 60),
    ]
    assert {*fields.rows[0]} == {*FIELDS}
    assert arrays["energy", "after", "plain"].tolist() == [40, 80]
    assert {kind for kind, *_ in arrays} == {"energy", "logits", "spectrum"}
