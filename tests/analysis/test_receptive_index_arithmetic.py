"""Index arithmetic by NumPy against JAX, bit for bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxseg.analysis.receptive.index_arithmetic import compute

A = np.array([-7, 0, 3, 2**31 - 1], np.int32)
B = np.array([3, 0, -4, 2], np.int32)
WHICH = np.array([2, 0, 1, 1], np.int32)


@pytest.mark.parametrize(
    ("fn", "operands"),
    [
        *((fn, (A, B)) for fn in (lax.add, lax.sub, lax.mul, lax.max, lax.min)),
        *((fn, (A, B)) for fn in (lax.lt, lax.le, lax.gt, lax.ge, lax.eq, lax.ne)),
        (lambda a, b: lax.select_n(a < b, a, b), (A, B)),
        (lambda w, a, b: lax.select_n(w, a, b, -a), (WHICH, A, B)),
        (lambda a: lax.broadcast_in_dim(a, (2, 4, 3), (1,)), (A,)),
        (lambda a: lax.reshape(a, (2, 2)), (A,)),
        (lambda a, b: lax.concatenate([a, b], 0), (A, B)),
        (lambda a: lax.convert_element_type(a, jnp.int8), (A,)),
        (lambda a: lax.convert_element_type(a, jnp.bool_), (A,)),
        (lambda a: a + lax.iota(jnp.int32, 4), (A,)),
        (lambda a: lax.broadcasted_iota(jnp.int32, (2, 4), 1), (A,)),
        (lambda a: lax.broadcasted_iota(jnp.int8, (3, 200), 1), (A,)),
    ],
)
def test_every_operation_is_that_of_jax(fn, operands):
    computed = {}
    jaxpr = jax.make_jaxpr(fn)(*operands).jaxpr
    values = dict(zip(jaxpr.invars, operands, strict=True))
    for equation in jaxpr.eqns:
        inputs = [v.val if hasattr(v, "val") else values[v] for v in equation.invars]
        expected = equation.primitive.bind(*map(jnp.asarray, inputs), **equation.params)
        found = compute(equation, inputs)
        if found is not None:
            computed[equation.primitive.name] = found
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)
        values[equation.outvars[0]] = np.asarray(expected)
    assert computed


@pytest.mark.parametrize(
    ("fn", "operands"),
    [
        (lax.add, (jnp.asarray(A), jnp.asarray(B))),  # arrays of JAX: they may be on a device
        (lax.add, (np.float32(1), np.float32(2))),
        (lax.div, (A, B)),
        (lax.add, (A.astype(np.uint8), B.astype(np.uint8))),
        (lambda a: lax.convert_element_type(a, jnp.float32), (A,)),
    ],
)
def test_what_is_left_to_jax(fn, operands):
    (equation,) = jax.make_jaxpr(fn)(*operands).jaxpr.eqns
    assert compute(equation, operands) is None
