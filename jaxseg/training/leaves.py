"""A pytree as named plain arrays, which is what a checkpoint holds, and back again."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Specs = dict[str, tuple[str, tuple[int, ...]]]
"""name of a leaf -> its dtype and shape."""


def named_leaves(tree: Any) -> dict[str, Any]:
    """The leaves by the dotted path that leads to them, such as `params.head.kernel`.

    Raises:
        ValueError: the tree has no leaf, or two whose dotted paths are the same.
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
    """Dtype and shape of every leaf; a typed key's dtype names its generator ("key<fry>").

    Raises:
        ValueError: a leaf that is no array, key, number or `jax.ShapeDtypeStruct`.
    """
    return {name: _spec(name, leaf) for name, leaf in named_leaves(tree).items()}


def to_arrays(tree: Any) -> dict[str, Any]:
    """What is to be written: jax and NumPy arrays by name, keys as their data.

    Arrays without elements are left out: the file format has none. Among several processes an
    array that a process holds alone counts as a copy of the same values on all of them.

    Raises:
        ValueError: no leaf has elements.
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
    """What `to_arrays` would give for `like`, as shapes and dtypes with the shardings wanted.

    A leaf that is not bound to devices comes back as a NumPy array first: `from_arrays` then makes
    an array of it that is as free to move as the one in `like`.
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
    """The tree of `like`'s structure whose leaves have the values of `arrays`."""
    leaves = [_rebuild(leaf, arrays.get(name)) for name, leaf in named_leaves(like).items()]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def differences(there: Specs, now: Specs, *, shown: int = 3) -> str:
    """In words, how two sets of leaves differ; empty if they do not."""

    def entry(specs: Specs, name: str) -> str:
        return "absent" if name not in specs else f"{specs[name][0]}{list(specs[name][1])}"

    found = [
        f"{name} is {entry(there, name)} there, {entry(now, name)} now"
        for name in sorted({*there, *now})
        if there.get(name) != now.get(name)
    ]
    more = [f"and {len(found) - shown} more"] if len(found) > shown else []
    return "; ".join(found[:shown] + more)


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _spec(name: str, leaf: Any) -> tuple[str, tuple[int, ...]]:
    if not isinstance(leaf, jax.Array | jax.ShapeDtypeStruct):
        leaf = np.asarray(leaf)
        # Kind V is also that of bfloat16 and its like, which have a name of their own.
        if leaf.dtype.kind in "OSUMm" or leaf.dtype.names or leaf.dtype.name.startswith("void"):
            raise ValueError(
                f"{name} of the state is of type {leaf.dtype}, which a checkpoint does not hold: "
                "keep arrays, keys and numbers (up to 64 bits) in the state, the rest in `data`."
            )
    return str(leaf.dtype), tuple(leaf.shape)


def _target(leaf: Any) -> tuple[tuple[int, ...], Any, Any]:
    """Shape and dtype as stored, and the sharding, None for a leaf bound to no device."""
    if isinstance(leaf, jax.ShapeDtypeStruct):
        sharding = leaf.sharding
    elif isinstance(leaf, jax.Array):
        sharding = leaf.sharding if leaf.committed else None
    else:
        array = np.asarray(leaf)
        return array.shape, array.dtype, None
    data = jax.eval_shape(jax.random.key_data, leaf) if _is_key(leaf) else leaf
    return tuple(data.shape), data.dtype, sharding


def _rebuild(leaf: Any, array: Any) -> Any:
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
    """The name of a key's generator, of an abstract key too."""
    found = []
    jax.eval_shape(lambda k: found.append(jax.random.key_impl(k)), key)
    return found[0]
