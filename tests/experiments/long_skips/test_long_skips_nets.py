"""Deep U-Nets of equal parameters; their kernels in the order from image to logits."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from experiments.long_skips.nets import (
    ARMS,
    DeepUNet,
    convolutions,
    kernels,
    layer_places,
    stack_borders,
)


def make(arm="both", levels=3, blocks=2, rngs=None):
    return DeepUNet(
        classes=2,
        inputs=1,
        features=4,
        levels=levels,
        blocks=blocks,
        rngs=rngs or nnx.Rngs(0),
        **ARMS[arm],
    )


def test_arms_have_equal_parameters_and_every_layer_once():
    shapes = {}
    for arm in ARMS:
        params = nnx.state(nnx.eval_shape(lambda arm=arm: make(arm)), nnx.Param)
        alone = jax.tree.map(lambda a: np.zeros((3, *a.shape), np.float32), params)
        layers = [*kernels(alone, 2)]
        assert len(layers) == convolutions(3, 2) == len(layer_places(3, 2)) == 26
        shapes[arm] = [kernel.shape for kernel in layers]
        every = sum(a.size for a in jax.tree.leaves(alone) if a.ndim > 4)
        assert sum(kernel.size for kernel in layers) * 3 == every * 2
    assert all(other == shapes["both"] for other in shapes.values())


def test_layers_come_in_their_order_and_places():
    state = nnx.state(make(levels=2, blocks=1), nnx.Param)
    alone = jax.tree.map(lambda a: a[None], state)
    windows = [kernel.shape[1] for kernel in kernels(alone, 1)]
    assert windows == [3, 3, 3, 2, 3, 3, 2, 3, 3, 1]
    assert (
        layer_places(2, 1)
        == ["ends"] * 3 + ["between"] + ["bottom"] * 2 + ["between"] + ["ends"] * 3
    )


def test_blocks_of_a_stack_are_told_apart():
    """Each kernel is the one of its block, and of its member."""
    state = nnx.state(make(levels=2, blocks=2), nnx.Param)
    alone = jax.tree.map(lambda a: a[None], state)
    pair = state["bottom"]["blocks"]["branch"]
    bottom = [*kernels(alone, 1)][6:10]
    for number, kernel in enumerate(bottom):
        expected = pair[f"conv{1 + number % 2}"]["kernel"][...][number // 2]
        np.testing.assert_array_equal(kernel[0], expected)


def test_stacks_are_bordered_by_what_halves_and_doubles():
    assert stack_borders(2, 1) == {"1/1 down": (1, 3), "1/2": (4, 6), "1/1 up": (7, 9)}
    places = np.array(layer_places(3, 2))
    borders = stack_borders(3, 2)
    assert [*borders] == ["1/1 down", "1/2 down", "1/4", "1/2 up", "1/1 up"]
    for name, (first, last) in borders.items():
        expected = {"1/1": "ends", "1/4": "bottom"}.get(name.split()[0], "between")
        assert {*places[first:last].tolist()} == {expected}


def test_only_a_long_skip_leads_around_the_bottom():
    """Where nothing comes up, the image reaches the logits by long skips alone."""
    x, moved = jax.random.normal(jax.random.key(0), (2, 4, 4, 1)), []
    for arm in ("no skips", "long skips"):
        net = make(arm, levels=2, blocks=1)
        net.double[0].kernel[...] = jnp.zeros_like(net.double[0].kernel[...])
        moved.append(float(jnp.abs(net(x) - net(2 * x)).max()))
    assert moved[0] == 0 < moved[1]


def test_a_short_skip_leads_around_a_block():
    """Where the blocks at the bottom are zero, the image passes by short skips alone."""
    x, moved = jax.random.normal(jax.random.key(0), (2, 4, 4, 1)), []
    for arm in ("no skips", "short skips"):
        net = make(arm, levels=2, blocks=1)
        blocks = net.bottom.blocks
        conv = blocks.branch.conv2 if arm == "short skips" else blocks.conv2
        conv.kernel[...] = jnp.zeros_like(conv.kernel[...])
        moved.append(float(jnp.abs(net(x) - net(2 * x)).max()))
    assert moved[0] == 0 < moved[1]
