import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from jax.sharding import NamedSharding, PartitionSpec

from jaxseg import data
from jaxseg.data.augmentation import _augment, affine, photometric

STILL = data.Augmentation(scale=(1.0, 1.0), flip=0.0)
FILL = (0.25, 0.5, 0.75)
augment = jax.jit(data.augment, static_argnames=("config", "ignore_index"))


def still(**changes):
    return dataclasses.replace(STILL, **changes)


def noise(batch=4, size=(6, 9), channels=3, seed=0):
    """Images without structure, and labels 0 to 2, some of them ignored."""
    rng = np.random.default_rng(seed)
    images = rng.uniform(size=(batch, *size, channels)).astype(np.float32)
    labels = rng.integers(0, 3, (batch, *size)).astype(np.int32)
    return jnp.asarray(images), jnp.asarray(np.where(images[..., 0] > 0.9, 255, labels))


def coded(size=(16, 20)):
    """Images in red, green and blue, whose color is the label: rectangles, and then noise."""
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 3, (2, 4, 4))
    rectangles = np.repeat(np.repeat(coarse, size[0] // 4, 1), size[1] // 4, 2)
    labels = np.concatenate([rectangles, rng.integers(0, 3, (2, *size))])
    return jnp.eye(3)[labels], jnp.asarray(labels, jnp.int32)


def same(found, expected):
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, two)
        assert one.dtype == two.dtype


def windows(array, size):
    """All windows of this size, with the row and column of their first pixel."""
    rows, columns = (n - w + 1 for n, w in zip(array.shape[:2], size, strict=True))
    array = np.asarray(array)
    for i in range(rows):
        for j in range(columns):
            yield (i, j), array[i : i + size[0], j : j + size[1]]


@pytest.mark.parametrize("channels", [1, 3])
def test_nothing_asked_for_changes_no_bit(channels):
    batch = noise(channels=channels)
    same(augment(jax.random.key(0), *batch, STILL), batch)


def test_a_flip_is_exact():
    images, labels = noise()
    mirrored = (images[:, :, ::-1], labels[:, :, ::-1])
    same(augment(jax.random.key(0), images, labels, still(flip=1.0)), mirrored)


def test_about_half_are_flipped_and_the_others_are_left():
    images, labels = noise(batch=64, size=(2, 3))
    found, found_labels = augment(jax.random.key(0), images, labels, still(flip=0.5))
    flipped = (found == images[:, :, ::-1]).all(axis=(1, 2, 3))
    left = (found == images).all(axis=(1, 2, 3))
    assert (flipped ^ left).all()
    assert 20 <= flipped.sum() <= 44
    expected = jnp.where(flipped[:, None, None], labels[:, :, ::-1], labels)
    np.testing.assert_array_equal(found_labels, expected)


def test_a_crop_is_an_exact_window_and_every_window_is_drawn():
    images, labels = (np.repeat(a, 60, axis=0) for a in noise(batch=1, size=(5, 7)))
    found = augment(jax.random.key(0), images, labels, still(crop=(4, 5)))
    image_windows, label_windows = (dict(windows(a[0], (4, 5))) for a in (images, labels))
    places = set()
    for image, label in zip(*map(np.asarray, found), strict=True):
        (place,) = [place for place, window in image_windows.items() if (window == image).all()]
        np.testing.assert_array_equal(label, label_windows[place])
        places.add(place)
    assert places == {(i, j) for i in range(2) for j in range(3)}


def test_a_crop_larger_than_the_image_has_all_of_it_and_the_filling():
    images, labels = noise(batch=6, size=(3, 4))
    labels = jnp.minimum(labels, 2)
    found = augment(jax.random.key(0), images, labels, still(crop=(5, 6)), fill=FILL)
    places = set()
    for image, label, one, other in zip(*map(np.asarray, (images, labels, *found)), strict=True):
        (place,) = [p for p, w in windows(other, (3, 4)) if (w == label).all()]
        np.testing.assert_array_equal(dict(windows(one, (3, 4)))[place], image)
        assert (other == 255).sum() == 5 * 6 - 3 * 4
        np.testing.assert_array_equal(one[other == 255], np.tile(np.float32(FILL), (18, 1)))
        places.add(place)
    assert len(places) > 1


@pytest.mark.parametrize("zoom", [2.0, 0.5])
def test_a_zoom_is_a_window_of_the_resized_image(zoom):
    images, labels = noise(batch=3, size=(4, 6))
    labels = jnp.minimum(labels, 2)
    config = still(scale=(zoom, zoom))
    found, found_labels = augment(jax.random.key(1), images, labels, config, fill=FILL)
    size = (int(4 * zoom), int(6 * zoom))
    resize = jax.jit(lambda image: jax.image.resize(image, (*size, 3), "linear", antialias=False))
    everything = map(np.asarray, (jax.vmap(resize)(images), labels, found, found_labels))
    for resized, label, one, other in zip(*everything, strict=True):
        small, large = (one, resized) if zoom > 1 else (resized, one)
        close = [
            p
            for p, w in windows(large, small.shape[:2])
            if np.allclose(w, small, rtol=0, atol=1e-6)
        ]
        assert len(close) == 1
        if zoom > 1:
            repeated = np.repeat(np.repeat(label, 2, 0), 2, 1)
            np.testing.assert_array_equal(dict(windows(repeated, (4, 6)))[close[0]], other)
        else:
            assert (other == 255).sum() == 4 * 6 - 2 * 3


# Every configuration is compiled: a failing one is not worth minutes of shrinking.
@settings(max_examples=5, phases=[Phase.generate])
@given(
    scale=st.sampled_from([(0.5, 2.0), (0.3, 0.7), (1.0, 3.0), (1.25, 1.25), (1.0, 1.0)]),
    crop=st.sampled_from([None, (9, 13), (24, 24)]),
    flip=st.sampled_from([0.0, 0.5]),
    rotate=st.sampled_from([0.0, 10.0, 180.0]),
    cutout=st.sampled_from([0.0, 0.4]),
    seed=st.integers(0, 99),
)
def test_images_and_labels_stay_aligned(scale, crop, flip, rotate, cutout, seed):
    config = data.Augmentation(scale, crop, flip, rotate, cutout=cutout)
    images, labels = coded()
    found, labels = augment(jax.random.key(seed), images, labels, config, fill=FILL)
    assert found.shape == (4, *(crop or (16, 20)), 3)
    assert labels.shape == found.shape[:3]
    ignored = labels == 255
    np.testing.assert_array_equal(found[ignored], np.tile(np.float32(FILL), (ignored.sum(), 1)))
    # Bilinear interpolation gives the nearest of the four pixels a quarter at least, so its class
    # is seen in every single pixel, and where a color has more than the rest it is the label.
    shown = np.asarray(found)[~ignored]
    assert np.isin(labels[~ignored], [0, 1, 2]).all()
    own = np.take_along_axis(shown, np.asarray(labels[~ignored])[:, None], 1)
    assert (own >= 0.2499).all()
    pure = shown.max(axis=1) > 0.7501
    np.testing.assert_array_equal(shown[pure].argmax(axis=1), labels[~ignored][pure])
    if scale[0] >= 1 and not rotate and not cutout and crop != (24, 24):
        assert not ignored.any()
    assert pure.mean() > 0.25


def test_a_quarter_turn():
    image, label = (a[0] for a in noise(size=(5, 5)))

    @jax.jit
    def turned(radians):
        places = affine.positions(affine.Affine(affine.rotation(radians), jnp.full(2, 2.0)), (5, 5))
        return affine.bilinear(image, *places), affine.nearest(label, *places)[0]

    # The quarter turn counter-clockwise of the positions turns what is seen clockwise.
    found, labels = turned(np.float32(np.pi / 2))
    np.testing.assert_array_equal(labels, np.rot90(label, -1))
    np.testing.assert_allclose(found, np.rot90(image, -1), rtol=0, atol=1e-5)


def test_rotations_reach_their_limit_on_both_sides_and_keep_the_middle():
    # A thin line across the middle: its angle is seen in its ends.
    labels = jnp.zeros((64, 33, 33), jnp.int32).at[:, 16].set(1)
    images = labels[..., None].astype(jnp.float32)
    _, found = augment(jax.random.key(0), images, labels, still(rotate=30.0))
    assert (found[:, 16, 16] == 1).all()
    rows = np.arange(33)[None, :] * np.ones((64, 1))
    column = np.asarray(found[:, :, 28] == 1)
    angles = np.degrees(np.arctan(((rows * column).sum(1) / column.sum(1) - 16) / 12))
    assert -32 < angles.min() < -20
    assert 20 < angles.max() < 32


def test_zooms_are_spread_evenly_in_their_logarithm():
    labels = jnp.zeros((256, 16, 16), jnp.int32)
    images = labels[..., None].astype(jnp.float32)
    _, found = augment(jax.random.key(0), images, labels, still(scale=(0.25, 1.0)))
    sides = np.sqrt((found == 0).sum(axis=(1, 2))) / 16
    assert abs(np.mean(np.log2(sides)) - -1) < 0.1
    assert sides.min() < 0.3
    assert sides.max() > 0.9


def test_the_cutout_has_its_share_unless_it_reaches_outside():
    images, labels = noise(batch=256, size=(10, 20))
    labels = jnp.minimum(labels, 2)
    found, found_labels = augment(jax.random.key(0), images, labels, still(cutout=0.3), fill=FILL)
    erased = np.asarray(found_labels == 255)
    assert erased.sum(axis=(1, 2)).max() == 3 * 6
    assert erased.sum(axis=(1, 2)).min() < 3 * 6
    assert (erased.any(axis=0)).all()
    np.testing.assert_array_equal(found[~erased], images[~erased])
    for one in erased:  # one rectangle
        assert one.sum() == one.any(axis=0).sum() * one.any(axis=1).sum()


SOME = data.Augmentation(rotate=20.0, brightness=0.3, cutout=0.2)


def test_an_example_depends_on_the_key_and_its_index_only():
    images, labels = noise(size=(8, 10))
    key = jax.random.key(3)
    index = np.array([7, 2**31 + 5, 0, 9], np.uint32)
    found = augment(key, images, labels, SOME, index=index)
    same(augment(key, images, labels, SOME, index=index), found)
    turned = augment(key, images[::-1], labels[::-1], SOME, index=index[::-1])
    same([a[::-1] for a in turned], found)
    pair = augment(key, images[1:3], labels[1:3], SOME, index=index[1:3])
    same(pair, [a[1:3] for a in found])
    for other in (
        augment(key, images, labels, SOME, index=index + 1),
        augment(jax.random.key(4), images, labels, SOME, index=index),
    ):
        assert (np.abs(other[0] - found[0]).max(axis=(1, 2, 3)) > 0.01).all()


def test_without_an_index_examples_differ():
    images, labels = (jnp.repeat(a[:1], 4, axis=0) for a in noise(size=(8, 10)))
    found, _ = augment(jax.random.key(0), images, labels, SOME)
    assert len({a.tobytes() for a in np.asarray(found)}) == 4


def test_jit_and_vmap_agree_with_a_plain_call():
    images, labels = noise(batch=2, size=(8, 10))
    keys = jax.random.split(jax.random.key(0), 2)
    config = data.Augmentation()
    plain = data.augment(keys[1], images, labels, config)
    mapped = jax.jit(jax.vmap(lambda key: data.augment(key, images, labels, config)))(keys)
    for found in (augment(keys[1], images, labels, config), [a[1] for a in mapped]):
        np.testing.assert_allclose(found[0], plain[0], rtol=0, atol=1e-5)
        np.testing.assert_array_equal(found[1], plain[1])


def test_a_sharded_batch_stays_where_it_is():
    mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = NamedSharding(mesh, PartitionSpec("data"))
    images, labels = noise(size=(8, 10))
    index = jnp.arange(4, dtype=jnp.uint32)
    run = jax.jit(partial(data.augment, config=SOME))
    key = jax.random.key(0)
    batch = jax.device_put((images, labels), sharding)
    compiled = run.lower(key, *batch, index=jax.device_put(index, sharding)).compile()
    assert not [op for op in ("all-gather", "all-reduce", "all-to-all") if op in compiled.as_text()]
    found = compiled(key, *batch, index=jax.device_put(index, sharding))
    assert found[0].sharding.is_equivalent_to(sharding, 4)
    expected = augment(key, images, labels, SOME, index=index)
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(found[1], expected[1])


def test_types_are_kept():
    images, labels = (np.asarray(a) for a in noise(batch=1))
    batch = (jnp.asarray(images, jnp.bfloat16), jnp.asarray(labels, jnp.uint8))
    everything = data.Augmentation((0.5, 2.0), (8, 10), 0.5, 20.0, 0.3, 0.3, 0.3, 0.1, 0.5, 0.2)
    found = augment(jax.random.key(0), *batch, everything)
    assert [a.dtype for a in found] == [jnp.bfloat16, jnp.uint8]


def test_another_label_may_be_the_ignored_one():
    images, labels = noise(batch=1)
    config = still(crop=(20, 20))
    _, found = augment(jax.random.key(0), images, labels, config, ignore_index=-1)
    assert (found == -1).sum() == 20 * 20 - labels.size


def test_colors_change_within_their_range_and_labels_do_not():
    images, labels = noise(batch=32)
    images = 0.25 + images / 8  # nothing is cut off
    found, found_labels = augment(jax.random.key(0), images, labels, still(brightness=0.4))
    np.testing.assert_array_equal(found_labels, labels)
    factors = np.asarray(found / images)
    assert np.ptp(factors, axis=(1, 2, 3)).max() < 1e-5
    assert 0.6 <= factors.min() < 0.7
    assert 1.3 < factors.max() <= 1.4


def test_contrast_does_not_see_the_filling():
    image, label = (a[:1] for a in noise())
    config = still(crop=(12, 18), contrast=0.5)
    (found,), (labels,) = augment(jax.random.key(0), image, label % 255, config, fill=0.0)
    seen = np.asarray(labels != 255)
    np.testing.assert_allclose(
        photometric.gray(found)[seen].mean(), photometric.gray(image[0]).mean(), rtol=0, atol=0.01
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": (0.0, 1.0)},
        {"scale": (2.0, 1.0)},
        {"scale": (1.0, float("inf"))},
        {"scale": (float("nan"), 1.0)},
        {"crop": (0, 4)},
        {"flip": 1.1},
        {"flip": float("nan")},
        {"rotate": -1.0},
        {"rotate": 181.0},
        {"brightness": -0.1},
        {"contrast": float("inf")},
        {"saturation": -1.0},
        {"hue": 0.6},
        {"blur": -1.0},
        {"cutout": 1.5},
    ],
)
def test_a_bad_option_is_named(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"^{name}=.* expected .*: pass"):
        data.Augmentation(**wrong)


@pytest.mark.parametrize("error", [-1e-6, 0.0, 1e-6])
def test_room_for_whole_pixels_is_not_lost_to_rounding(error):
    """Zoom times size is rounded, and differently where it is fused with the difference."""
    room = jnp.float32(3 + error)
    draws = jnp.linspace(0, 1, 400, endpoint=False)
    places = jax.vmap(lambda draw: _augment._place(draw, room))(draws)
    assert np.bincount(np.asarray(places, int)).tolist() == [100] * 4
    mirrored = jax.vmap(lambda draw: _augment._place(draw, -room))(draws)
    np.testing.assert_array_equal(mirrored, -places)


@pytest.mark.parametrize("option", ["brightness", "contrast", "saturation"])
def test_no_factor_is_negative(option):
    """A negative one would turn bright into dark."""
    ramp = jnp.linspace(0.4, 0.6, 9, dtype=jnp.float32).reshape(1, 3, 3, 1)
    images = jnp.tile(jnp.concatenate([ramp + 0.01, ramp, ramp], -1), (200, 1, 1, 1))
    labels = jnp.zeros((200, 3, 3), jnp.int32)
    found, _ = augment(jax.random.key(0), images, labels, still(**{option: 3.0}))
    rising = np.diff(np.asarray(found).reshape(200, 9, 3), axis=1)
    if option == "saturation":
        red_over_blue = np.asarray(found)[..., 0] - np.asarray(found)[..., 2]
        assert (red_over_blue >= 0).all()
    assert (rising >= -1e-6).all()
    assert (np.asarray(found).reshape(200, -1).max(1) > 0).all()


@pytest.mark.optimized
def test_images_of_8_bits_are_taken_by_their_brightness():
    _, labels = noise()
    stored = np.random.default_rng(3).integers(0, 256, (*labels.shape, 3)).astype(np.uint8)
    key = jax.random.key(2)
    same(augment(key, stored, labels, STILL), (jnp.asarray(stored / np.float32(255)), labels))
    config = data.Augmentation(brightness=0.3)
    brightness = jnp.asarray(stored / np.float32(255))
    same(augment(key, stored, labels, config), augment(key, brightness, labels, config))


def test_images_of_16_bits_are_taken_by_their_brightness():
    _, labels = noise()
    stored = np.random.default_rng(3).integers(0, 65536, (*labels.shape, 5)).astype(np.uint16)
    key, config = jax.random.key(2), data.Augmentation(brightness=0.3, contrast=0.2)
    found, _ = augment(key, stored, labels, config)
    expected, _ = augment(key, jnp.asarray(stored / np.float32(65535)), labels, config)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize("clip", [None, False])
def test_measurements_keep_their_range(clip):
    images, labels = noise(batch=32)
    images = 300 + 50 * images
    found, _ = data.augment(
        jax.random.key(0), images, labels, still(brightness=0.4, contrast=0.1), clip=clip
    )
    factors = np.asarray(found).mean((1, 2, 3)) / np.asarray(images).mean((1, 2, 3))
    assert 0.6 <= factors.min() < 0.7
    assert 1.3 < factors.max() <= 1.4001


@pytest.mark.parametrize("clip", [None, True])
def test_brightness_is_clipped(clip):
    images, labels = noise(batch=32)
    found, _ = data.augment(jax.random.key(0), images, labels, still(brightness=0.9), clip=clip)
    assert float(found.max()) == 1


@pytest.mark.parametrize(
    ("channels", "dtype", "colored"),
    [(3, "uint8", True), (3, "uint16", True), (3, "float32", False), (1, "uint8", False)],
)
def test_only_colors_have_saturation_and_hue(channels, dtype, colored):
    config = data.Augmentation(brightness=0.3, saturation=0.3, hue=0.1)
    found = config.for_images(channels, dtype)
    assert (found == config) == colored
    assert found.brightness == 0.3
    assert colored or (found.saturation, found.hue) == (0, 0)


def test_bad_arguments_are_named():
    images, labels = noise()
    key = jax.random.key(0)
    gray = images[..., :1]
    for config in (still(hue=0.1), still(saturation=0.1)):
        with pytest.raises(ValueError, match="needs red, green and blue, and the images have 1"):
            data.augment(key, gray, labels, config)
    with pytest.raises(ValueError, match="dtype int32, expected uint8, or floats"):
        data.augment(key, (images * 255).astype(jnp.int32), labels, STILL)
    with pytest.raises(ValueError, match="labels have dtype float32"):
        data.augment(key, images, labels.astype(jnp.float32), STILL)
    with pytest.raises(ValueError, match="do not fit"):
        data.augment(key, images, labels[:, 1:], STILL)
    with pytest.raises(ValueError, match=r"ignore_index=255 is no int8"):
        data.augment(key, images, (labels % 3).astype(jnp.int8), STILL)
    with pytest.raises(ValueError, match=r"index is int32 of shape \(3,\), .*shape \(4,\)"):
        data.augment(key, images, labels, STILL, index=jnp.arange(3))
    with pytest.raises(ValueError, match="kind 'rbg'"):
        data.augment(jax.random.key(0, impl="rbg"), images, labels, STILL)
    with pytest.raises(ValueError, match=r"fill has shape \(2,\), expected \(3,\)"):
        data.augment(key, images, labels, STILL, fill=(0.1, 0.2))
