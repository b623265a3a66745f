"""What the explorer's tables say of a field is what the field says, and its page is safe."""

import base64
import math
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import ops
from jaxseg.analysis import receptive_field
from jaxseg.analysis.receptive.explorer import Maps, layer_table
from jaxseg.analysis.receptive.explorer.tables import LARGEST_MAP, SHADES, sample


def field_of(net, *size):
    return receptive_field(net, jax.ShapeDtypeStruct((1, *size, 1), jnp.float32))


def chain(*rates, stride=1):
    def net(x):
        for rate in rates:
            kernel = jnp.ones((3,) * (x.ndim - 2) + (1, 1))
            x = ops.conv(x, kernel, dilation=rate, stride=stride)
        return x

    return net


def unpack(packed):
    """The maps of a table."""
    data, start, maps = zlib.decompress(base64.b64decode(packed["data"])), 0, []
    for height, width, _ in packed["shapes"]:
        shades = np.frombuffer(data[start : start + height * width], np.uint8)
        maps.append(shades.reshape(height, width))
        start += height * width
    return maps


@pytest.mark.parametrize("size", [(13, 17), (20, 20)])
@pytest.mark.parametrize("rates", [(2, 2), (1, 3)])
def test_every_entry_is_the_fields(size, rates):
    field, maps = field_of(chain(*rates, stride=2), *size), Maps()
    table = layer_table("net", field, maps, positions=4)
    shades = unpack(maps.packed())
    assert table["output"] == list(field.output_size)
    pixels = [(row, column) for row in table["rows"] for column in table["columns"]]
    for pixel, entry in zip(pixels, table["pixels"], strict=True):
        counts = field.counts(pixel)
        top, bottom, left, right, seen, paths, most, number, transposed = entry
        assert ((top, bottom), (left, right)) == field.window(pixel)
        assert seen == field.coverage(pixel).sum()
        assert paths == pytest.approx(math.log10(counts.sum()), abs=1e-8)
        assert most == pytest.approx(math.log10(counts.max()), abs=1e-8)
        shown = shades[number].T if transposed else shades[number]
        window = counts[top : bottom + 1, left : right + 1]
        np.testing.assert_array_equal(shown > 0, window > 0)
        assert shown.max() == SHADES
        order = np.argsort(window, axis=None)
        assert (np.diff(shown.ravel()[order].astype(int)) >= 0).all()  # more paths, darker


def test_equal_maps_are_kept_once():
    maps = Maps()
    layer_table("net", field_of(chain(1, 2), 64, 64), maps, positions=7)
    # At each end of an axis 1 of 7 pixels is cut; the corners and sides are alike or transposed.
    assert len(maps.packed()["shapes"]) < 9


def test_large_windows_are_shown_by_blocks():
    maps = Maps()
    ones = np.ones((3 * LARGEST_MAP, 5), np.int64)
    assert maps.add(ones) == [0, 0]
    assert maps.packed()["shapes"] == [[LARGEST_MAP, 2, 3]]
    lonely = np.zeros((2 * LARGEST_MAP, 2), np.int64)
    lonely[0, 0] = 1
    maps.add(lonely)
    assert unpack(maps.packed())[1][0, 0] >= 1  # one pixel of its block


def test_each_phase_is_in_the_table():
    field = field_of(lambda x: ops.upconv(chain(1, stride=2)(x), jnp.ones((3, 3, 1, 1))), 32, 32)
    rows = layer_table("net", field, Maps(), positions=2)["rows"]
    assert {row % 2 for row in rows} == {0, 1}


@pytest.mark.parametrize(
    ("size", "phases", "positions", "pixels"),
    [
        (1, 1, 7, [0]),
        (5, 1, 7, [0, 1, 2, 3, 4]),
        (9, 1, 3, [0, 4, 8]),
        (9, 1, 1, [4]),
        (16, 4, 2, [0, 8, 9, 10, 11]),
        (10, 1, 7, [0, 2, 3, 5, 6, 8, 9]),
        (3, 4, 2, [0, 1, 2]),
    ],
)
def test_pixels_are_spread_and_hold_a_period(size, phases, positions, pixels):
    assert sample(size, phases, positions) == pixels


@pytest.mark.parametrize("size", [(9,), (5, 6), (4, 5, 6)])
def test_any_number_of_axes(size):
    maps = Maps()
    table = layer_table("net", field_of(chain(1), *size), maps, positions=3)
    assert table["output"] == [1, *size][-2:]
    entry = table["pixels"][0]
    assert entry[0] == 0
    assert (entry[4], len(table["size"])) == ({1: 2, 2: 4, 3: 4}[len(size)], len(size))


def test_outputs_without_axes_and_without_sight():
    whole = layer_table("mean", field_of(lambda x: x.mean((1, 2)), 6, 7), Maps())
    assert (whole["output"], whole["pixels"][0][:5]) == ([1, 1], [0, 5, 0, 6, 42])
    blind = layer_table("zeros", field_of(jnp.zeros_like, 6, 7), Maps())
    assert {*blind["pixels"]} == {None}


def test_paths_beyond_float64_have_a_logarithm():
    def net(x):
        for _ in range(1200):
            x = x + 1.0 * x
        return x

    entry = layer_table("net", field_of(net, 3), Maps())["pixels"][0]
    assert entry[5] == pytest.approx(1200 * math.log10(2))


def test_a_page_shows_a_field_and_needs_nothing(tmp_path):
    field = field_of(chain(1, 2), 24, 24)
    explorer = field.explore(tmp_path / "new" / "page.html", title="<b>&amp;</script>", positions=3)
    page = (tmp_path / "new" / "page.html").read_text()
    assert page == explorer.html
    assert "http" not in page
    assert "<b>&" not in page  # the title is text
    assert page.count("</script>") == 1
    frame = explorer._repr_html_()
    assert frame.startswith("<iframe srcdoc=")
    assert frame.count("<") == 2
    assert "kB" in repr(explorer)


def test_a_field_in_a_notebook_is_a_table():
    table = field_of(chain(1, 2), 24, 24)._repr_html_()
    assert table.count("<tr>") == 3
    assert "<svg" in table
    assert "<svg" not in field_of(chain(1), 24)._repr_html_()
    assert "one value" in field_of(lambda x: x.mean((1, 2)), 6, 7)._repr_html_()
    assert "&ndash;" in field_of(lambda x: x[:, jnp.array([0, 3, 1, 5])], 8, 8)._repr_html_()


def test_what_cannot_be_shown_is_refused():
    field = field_of(chain(1), 9)
    with pytest.raises(ValueError, match="positions=0"):
        field.explore(positions=0)
    with pytest.raises(ValueError, match="without pixels"):
        field_of(lambda x: x[:, :0], 9).explore()
