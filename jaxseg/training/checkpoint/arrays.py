"""A pytree as named plain arrays, which is what a checkpoint holds, and back again."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Specs = dict[str, tuple[str, tuple[int, ...]]]
"""The dtype and the shape of every leaf, by its name."""


def named_leaves(tree: Any) -> dict[str, Any]:
    """The leaves of a pytree, by the dotted paths that lead to them: `params.head.kernel`.

    Raises:
        ValueError: The tree has no leaf, or two leaves have the same dotted path.
    """
    named: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        name = jax.tree_util.keystr(path, simple=True, separator=".") or "value"
        if name in named:
            raise ValueError(
                f"two leaves of the state are both called {name!r}: rename one of the keys that "
                "lead to them (a dot within a key reads like a level)."
            )
        named[name] = leaf
    if not named:
        raise ValueError("the state has no leaves: give a pytree that holds arrays.")
    return named


def leaf_specs(tree: Any) -> Specs:
    """The dtype and the shape of every leaf; a typed key's dtype names its generator, `key<fry>`.

    Raises:
        ValueError: A leaf is no array, key, number or `jax.ShapeDtypeStruct`.
    """
    return {name: _spec(name, leaf) for name, leaf in named_leaves(tree).items()}


def to_arrays(tree: Any) -> dict[str, Any]:
    """The arrays to be written, by name; keys as their data.

    Arrays without elements are left out, since the file format has none. Among several processes,
    an array that a process holds alone counts as a copy of the same values on all of them.

    Raises:
        ValueError: No leaf has elements.
    """
    arrays = {}
    for name, leaf in named_leaves(tree).items():
        if isinstance(leaf, jax.Array):
            leaf = jax.random.key_data(leaf) if _is_key(leaf) else leaf
            if jax.process_count() > 1 and leaf.is_fully_addressable:
                leaf = np.array(leaf)
        else:
            leaf = np.array(leaf)  # a copy: the caller may go on writing into the original
        if leaf.size:
            arrays[name] = leaf
    if not arrays:
        raise ValueError("the state has no elements at all: there is nothing to save.")
    return arrays


def to_targets(like: Any) -> dict[str, Any]:
    """Shapes, dtypes and shardings of the arrays to be read, by name.

    A leaf that is not bound to devices is read as a NumPy array first: `from_arrays` then makes an
    array of it that is as free to move as the one in `like`.

    Args:
        like: A pytree of the structure, shapes, dtypes and shardings that are wanted.
    """
    targets = {}
    for name, leaf in named_leaves(like).items():
        shape, dtype, sharding = _target(leaf)
        if not np.prod(shape):
            continue
        if sharding is None or (jax.process_count() > 1 and sharding.is_fully_addressable):
            targets[name] = np.broadcast_to(np.zeros((), dtype), shape)  # takes no memory
        else:
            targets[name] = jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)
    return targets


def from_arrays(like: Any, arrays: Mapping[str, Any]) -> Any:
    """A pytree of the structure of `like` with the values of `arrays`.

    Args:
        like: A pytree of the wanted structure and types.
        arrays: What was read for `to_targets(like)`.
    """
    leaves = [_rebuild(leaf, arrays.get(name)) for name, leaf in named_leaves(like).items()]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def differences(saved: Specs, current: Specs, *, shown: int = 3) -> str:
    """Describes in words how two sets of leaves differ; empty if they do not.

    Args:
        saved: The leaves of a checkpoint.
        current: The leaves of the state that is to be restored.
        shown: How many differences are spelled out.
    """

    def describe(specs: Specs, name: str) -> str:
        return "absent" if name not in specs else f"{specs[name][0]}{list(specs[name][1])}"

    lines = [
        f"{name} is {describe(saved, name)} there, {describe(current, name)} now"
        for name in sorted({*saved, *current})
        if saved.get(name) != current.get(name)
    ]
    more = [f"and {len(lines) - shown} more"] if len(lines) > shown else []
    return "; ".join(lines[:shown] + more)


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _spec(name: str, leaf: Any) -> tuple[str, tuple[int, ...]]:
    if not isinstance(leaf, jax.Array | jax.ShapeDtypeStruct):
        leaf = np.asarray(leaf)
        # Kind V is also that of bfloat16 and its like, which have a name of their own.
        if leaf.dtype.kind in "OSUMm" or leaf.dtype.names or leaf.dtype.name.startswith("void"):
            raise ValueError(
                f"{name} of the state is of type {leaf.dtype}, which a checkpoint does not hold: "
                "keep arrays, keys and numbers (up to 64 bits) in the state, the rest in "
                "`iterator_state`."
            )
    return str(leaf.dtype), tuple(leaf.shape)


def _target(leaf: Any) -> tuple[tuple[int, ...], Any, Any]:
    """Shape and dtype as stored, and the sharding; None for a leaf that is bound to no device."""
    if isinstance(leaf, jax.ShapeDtypeStruct):
        sharding = leaf.sharding
    elif isinstance(leaf, jax.Array):
        sharding = leaf.sharding if leaf.committed else None
    else:
        array = np.asarray(leaf)
        return array.shape, array.dtype, None
    stored = jax.eval_shape(jax.random.key_data, leaf) if _is_key(leaf) else leaf
    return tuple(stored.shape), stored.dtype, sharding


def _rebuild(leaf: Any, array: Any) -> Any:
    """A leaf of the kind of `leaf` with the values of `array`."""
    shape, dtype, sharding = _target(leaf)
    if array is None:  # it has no elements
        array = np.zeros(shape, dtype)
    if isinstance(leaf, bool | int | float | complex | np.generic):
        # NumPy's numbers are of these types as well, and keep their own.
        return array[()] if isinstance(leaf, np.generic) else array.item()
    if isinstance(leaf, np.ndarray):
        return array
    if not isinstance(array, jax.Array):
        values = np.asarray(array)
        array = (
            jnp.array(values)
            if sharding is None
            else jax.make_array_from_callback(shape, sharding, lambda index: values[index])
        )
    return jax.random.wrap_key_data(array, impl=_generator(leaf)) if _is_key(leaf) else array


def _generator(key: Any) -> Any:
    """The name of a key's generator, also of an abstract key."""
    names = []
    jax.eval_shape(lambda k: names.append(jax.random.key_impl(k)), key)
    return names[0]
