"""Operations on images of unknown height and width are those on images of known ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from jaxseg import ops


def kernel(*shape):
    return jnp.asarray(np.random.default_rng(1).normal(size=shape), jnp.float32)


OPS = {
    "conv": lambda x: ops.conv(x, kernel(3, 2, 4, 3), dilation=(2, 1), padding=((3, 4), (0, 1))),
    "conv_same": lambda x: ops.conv(x, kernel(3, 4, 4, 3), dilation=2),
    "conv_strided": lambda x: ops.conv(x, kernel(4, 1, 2, 4), stride=2, padding=3, groups=2),
    "conv_strided_same": lambda x: ops.conv(x, kernel(2, 1, 4, 3), stride=(2, 3)),
    "upconv": lambda x: ops.upconv(x, kernel(4, 3, 4, 3), stride=(2, 3)),
    "upconv_short": lambda x: ops.upconv(x, kernel(2, 1, 4, 3), stride=3, padding=0),
    "upconv_cropped": lambda x: ops.upconv(x, kernel(3, 3, 4, 3), padding=1, output_padding=1),
    "upconv_beyond": lambda x: ops.upconv(x, kernel(2, 2, 4, 3), stride=4, padding=(3, 2)),
    "upconv_dilated": lambda x: ops.upconv(x, kernel(3, 3, 2, 4), dilation=2, groups=2),
    "max_pool": lambda x: ops.max_pool(x, 3, stride=2, padding=1),
    "max_pool_same": lambda x: ops.max_pool(x, 2, padding="same"),
    "max_pool_int": lambda x: ops.max_pool((9 * x).astype(jnp.int32), 2, stride=1, dilation=2),
    "avg_pool": lambda x: ops.avg_pool(x, (3, 2), stride=2, padding=1),
    "avg_pool_16_bit": lambda x: ops.avg_pool(
        x.astype(jnp.bfloat16), 4, stride=1, padding=1
    ).astype(jnp.float32),
    "avg_pool_inside": lambda x: ops.avg_pool(x, 3, stride=2, padding=1, count_include_pad=False),
    "resize": lambda x: ops.resize(x, (13, x.shape[2])),
    "resize_corners": lambda x: ops.resize(x, (13, 1), align_corners=True),
    "resize_to_unknown": lambda x: ops.resize(x[:, :3], x.shape[1:3]),
    "resize_nearest": lambda x: ops.resize(x, (14, 82), method="nearest"),
    "resize_nearest_exact": lambda x: ops.resize(x, (14, 5), method="nearest-exact"),
    "mirror_pad": lambda x: ops.mirror_pad(x, [(7, 0), (2, 30)]),
    "mirror_pad_by_unknown": lambda x: ops.mirror_pad(x, [(0, x.shape[1] % 4), (x.shape[2], 1)]),
}


def test_every_operation_on_unknown_sizes():
    """One program, since it is compiling that takes the time."""
    shape = export.symbolic_shape("b, h, w, 4", constraints=["h >= 4", "w >= 4"])

    def every(x):
        return {name: fn(x) for name, fn in OPS.items()}

    exported = export.export(jax.jit(every))(jax.ShapeDtypeStruct(shape, jnp.float32))
    for size in ((2, 7, 9), (1, 12, 4)):
        x = jax.random.normal(jax.random.key(2), (*size, 4))
        wanted, got = jax.jit(every)(x), exported.call(x)
        for name in OPS:
            assert got[name].shape == wanted[name].shape, name
            np.testing.assert_allclose(
                got[name], wanted[name], rtol=1e-5, atol=2e-5, err_msg=f"{name} at {size}"
            )


@pytest.mark.parametrize("align_corners", [False, True])
def test_infinities_stay_where_they_are_at_unknown_sizes(align_corners):
    """A neighbor of weight zero brings in no 0 * inf."""

    def fn(x):
        return ops.resize(x, (2 * x.shape[1] - 1, x.shape[2]), align_corners=align_corners)

    shape = export.symbolic_shape("h, w")
    exported = export.export(jax.jit(fn))(jax.ShapeDtypeStruct((1, *shape, 2), jnp.float32))
    x = jnp.arange(60.0).reshape(1, 6, 5, 2)
    for pixel in ((0, 0), (2, 3), (5, 4)):
        infinite = x.at[0, *pixel, 0].set(jnp.inf).at[0, *pixel, 1].set(-jnp.inf)
        got, wanted = exported.call(infinite), fn(infinite)
        assert not np.isnan(got).any()
        np.testing.assert_allclose(got, wanted, rtol=1e-5)


def trace(fn):
    shape = export.symbolic_shape("b, h, w, 4")
    return export.export(jax.jit(fn))(jax.ShapeDtypeStruct(shape, jnp.float32))


@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (lambda x: ops.conv(x, kernel(3, 3, 4, 4), stride=2), "is not known: give the padding"),
        (lambda x: ops.conv(x, kernel(3, 3, 4, 4), stride=0), "stride=0 has an entry below 1"),
        (lambda x: ops.upconv(x, kernel(3, 3, 4, 4), output_padding=2), "output_padding=2"),
        (lambda x: ops.max_pool(x, 2, padding=2), "nothing but padding"),
        (lambda x: ops.resize(x, (x.shape[1], 0)), "has an entry below 1"),
        (lambda x: ops.resize(x, (x.shape[1], 3, 3)), "does not fit 2 spatial axes"),
        (lambda x: ops.mirror_pad(x, [(0, x.shape[1]), (-1, 0)]), "must be 2 pairs"),
    ],
)
def test_bad_options_are_refused_at_unknown_sizes_too(fn, message):
    with pytest.raises(ValueError, match=message):
        trace(fn)
