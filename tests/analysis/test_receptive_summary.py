"""Summaries: layers by name, parameters, multiply-adds; modules and the functions around them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx
from jax import lax
from jax.ad_checkpoint import checkpoint_name

from jaxseg import models, nn, ops
from jaxseg.analysis import receptive_field, summary

IMAGE = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)


def of_zeros(abstract):
    """Arrays in place of shapes: what they hold does not matter, and drawing it takes long."""
    return jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), abstract)


def deep_net(**options):
    make = functools.partial(models.DeepNet, classes=4, features=8, **options)
    graphdef, state = nnx.split(nnx.eval_shape(lambda: make(rngs=nnx.Rngs(0))))
    return nnx.merge(graphdef, of_zeros(state))


def test_a_module_and_its_layers():
    net = deep_net(blocks=5)
    field = receptive_field(net, IMAGE)
    assert field.size == (2 * 11 + 1,) * 2
    table = summary(net, IMAGE)
    assert table["all"].parameters == sum(
        v.size for v in jax.tree.leaves(nnx.state(net, nnx.Param))
    )
    assert [table[f"stack/[{i}]"].field.size[0] for i in range(5)] == [7, 11, 15, 19, 23]
    assert table["stem"].multiply_adds == 64 * 64 * 9 * 3 * 8
    assert table["stem"].shape == (1, 64, 64, 8)
    assert table["stack"].multiply_adds == 10 * 64 * 64 * 9 * 8 * 8
    assert table["head"].field.size == field.size
    lines = table.csv().splitlines()
    assert lines[0] == "layer,output,field,stride,parameters,multiply_adds"
    assert lines[1] == "stem,1x64x64x8,3x3,1x1,216,884736"
    assert lines[-1].startswith("all,1x64x64x4,23x23,1x1,")
    assert len(str(table).splitlines()) == len(lines)
    top = summary(net, IMAGE, depth=1)
    assert [layer.name for layer in top.layers] == ["stem", "stack", "norm", "head", ""]
    assert top["stack"].parameters == table["stack"].parameters
    assert type(net.stem) is nn.Conv  # the net itself is as it was
    assert jax.eval_shape(net, jnp.zeros((1, 8, 8, 3))).shape == (1, 8, 8, 4)


def test_a_module_that_updates_its_statistics():
    net = deep_net(blocks=2, norm="batch")
    before = jax.tree.map(np.asarray, nnx.state(net))
    train = functools.partial(net, train=True)
    assert receptive_field(train, IMAGE).window((3, 3)) == ((0, 63), (0, 63))
    assert summary(train, IMAGE)["stem"].field.size == (3, 3)
    assert summary(train, IMAGE)["all"].parameters == summary(net, IMAGE)["all"].parameters
    jax.tree.map(np.testing.assert_array_equal, before, nnx.state(net))


def test_names_of_a_function():
    weights = jnp.ones((3, 3, 3, 3))

    def fn(x):
        with jax.named_scope("down"):
            x = ops.conv(x, weights, stride=2)
        x = checkpoint_name(jax.nn.relu(x), "features")
        with jax.named_scope("up"):
            return ops.upconv(x, weights, stride=2)

    table = summary(fn, IMAGE)
    assert [layer.name for layer in table.layers] == ["down", "features", "up", ""]
    assert [layer.parameters for layer in table.layers] == [81, 0, 0, 81]  # shared: counted once
    assert table["down"].multiply_adds == table["up"].multiply_adds == 32 * 32 * 81
    with pytest.raises(KeyError):
        table["sideways"]
    assert [layer.name for layer in summary(fn, IMAGE, depth=0).layers] == [""]
    with pytest.raises(ValueError, match="depth=-1 must be at least 0"):
        summary(fn, IMAGE, depth=-1)


def test_zeros_of_a_modules_parameters_are_not_looked_at():
    class Mix(nnx.Module):
        def __init__(self):
            self.mix = nnx.Linear(64, 64, kernel_init=nnx.initializers.zeros, rngs=nnx.Rngs(0))

        def __call__(self, x):
            return jnp.swapaxes(self.mix(jnp.swapaxes(x, 1, 3)), 1, 3)

    assert receptive_field(Mix(), IMAGE).window((3, 5)) == ((0, 63), (5, 5))
    abstract = nnx.eval_shape(Mix)
    assert receptive_field(abstract, IMAGE).size == (64, 1)
    assert summary(abstract, IMAGE)["all"].parameters == 64 * 64 + 64


def test_shared_parts_of_a_module_count_once():
    class Twice(nnx.Module):
        def __init__(self):
            self.first = nn.Conv(3, 3, rngs=nnx.Rngs(0))
            self.second = self.first

        def __call__(self, x):
            return self.second(self.first(x))

    table = summary(Twice(), IMAGE)
    assert table["all"].parameters == 81
    assert table["all"].field.size == (5, 5)


def test_what_a_traced_index_needs():
    @jax.jit
    def inside(x, i):
        receptive_field(lambda y: lax.dynamic_slice_in_dim(y, i, 2, 1), x)
        return x

    with pytest.raises(ValueError, match="needed by value, but is being traced"):
        inside(jnp.zeros((1, 8, 8, 1)), 3)


def test_scalars_constants_and_loops_of_no_turns():
    def fn(x):
        with jax.named_scope("scale"):
            s = jnp.mean(x)
        y, zs = lax.scan(lambda c, z: (c, z), x * s, jnp.zeros((0, 2)))
        assert zs.shape == (0, 2)
        return y

    assert "scale" not in str(summary(fn, IMAGE))
    assert receptive_field(fn, IMAGE).window((3, 3)) == ((0, 63), (0, 63))
    assert summary(lambda x: jnp.zeros((1, 4, 4, 2)), IMAGE)["all"].field.size == (0, 0)


def test_the_work_of_a_loop_is_that_of_its_turns():
    weights = jnp.ones((4, 1, 1, 3, 3))

    def scanned(x):
        return lax.scan(lambda y, k: (ops.conv(y, k), None), x, weights)[0] + weights.sum()

    table = summary(scanned, IMAGE)
    assert table["all"].parameters == weights.size
    assert table["all"].multiply_adds == 4 * 64 * 64 * 9


def test_the_work_of_convolutions_of_lax():
    """Each output meets each tap; upwards, each input does, but for what a stride leaves out."""

    def work(**options):
        def fn(x):
            kernel = jnp.ones((3, 3, 3, 5))
            numbers = ("NHWC", "HWIO", "NHWC")
            options.setdefault("window_strides", (1, 1))
            return lax.conv_general_dilated(
                x, kernel, padding=[(1, 1), (1, 1)], dimension_numbers=numbers, **options
            )

        return summary(fn, jax.ShapeDtypeStruct((1, 9, 9, 3), jnp.float32))["all"].multiply_adds

    assert work() == 9 * 9 * 27 * 5
    assert work(window_strides=(2, 2)) == 5 * 5 * 27 * 5
    assert work(lhs_dilation=(2, 2)) == 9 * 9 * 27 * 5
    assert work(lhs_dilation=(4, 4), window_strides=(3, 3)) == 9 * 9 * 27 * 5 // 9


class Block(linen.Module):
    """A residual block as flax's own examples write it."""

    features: int
    stride: int = 1

    @linen.compact
    def __call__(self, x):
        y = linen.Conv(self.features, (3, 3), (self.stride, self.stride), use_bias=False)(x)
        y = linen.relu(linen.BatchNorm(use_running_average=True)(y))
        y = linen.Conv(self.features, (3, 3))(y)
        if x.shape != y.shape:
            x = linen.Conv(self.features, (1, 1), (self.stride, self.stride))(x)
        return linen.relu(x + y)


class Net(linen.Module):
    """7x7 stride 2, pooling, blocks, global mean, classes."""

    @linen.compact
    def __call__(self, x):
        x = linen.Conv(8, (7, 7), (2, 2), padding=[(3, 3), (3, 3)], name="stem")(x)
        x = linen.max_pool(x, (3, 3), (2, 2), padding="SAME")
        for i in range(3):
            x = Block(8 * (i + 1), 1 + (i > 0))(x)
        return linen.Dense(10)(x.mean((1, 2)))


def test_a_net_of_linen():
    net = Net()
    variables = of_zeros(jax.eval_shape(net.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3))))
    table = summary(lambda x: net.apply(variables, x), IMAGE)
    assert table["Net/stem"].field.size == (7, 7)
    assert [table[f"Net/Block_{i}"].field.size[0] for i in range(3)] == [27, 51, 99]
    assert [table[f"Net/Block_{i}"].field.stride[0] for i in range(3)] == [4, 8, 16]
    assert table["all"].field.output_size == ()
    # Means and variances are floating arrays of the function's, too.
    assert table["all"].parameters == sum(a.size for a in jax.tree.leaves(variables))
