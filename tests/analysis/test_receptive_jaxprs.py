"""Jaxprs inside of equations, as this version of JAX writes them and as others do."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from jaxseg.analysis.receptive.jaxprs import closed, inner_jaxpr, scan_operands, while_operands


def variables(*shapes):
    return [SimpleNamespace(aval=SimpleNamespace(shape=shape)) for shape in shapes]


class OpenJaxpr(SimpleNamespace):
    """JAX 0.10: a jaxpr without constants."""

    def __init__(self, invars, outvars):
        super().__init__(invars=invars, outvars=outvars, constvars=[], eqns=[])


class ClosedJaxpr(SimpleNamespace):
    """JAX 0.10: a jaxpr with its constants, beside the open one."""

    def __init__(self, invars, outvars):
        super().__init__(jaxpr=OpenJaxpr(invars, outvars), consts=[])


class OneJaxpr(OpenJaxpr):
    """JAX 0.12: the one class of jaxprs is its own open and closed form."""

    consts = ()

    @property
    def jaxpr(self):
        return self


VERSIONS = {
    "0.10": (ClosedJaxpr, {"num_consts": 2, "num_carry": 1, "linear": (False,) * 5}),
    "0.12": (OneJaxpr, {"ft_in": object(), "ft_out": object()}),
}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_operands_of_a_scan(version):
    make, params = VERSIONS[version]
    body = make(variables((3, 3), (), (4, 5), (2,), ()), variables((4, 5), (), (7,)))
    equation = SimpleNamespace(
        params={**params, "jaxpr": body, "length": 6, "reverse": True},
        invars=variables((3, 3), (), (4, 5), (6, 2), (6,)),
        outvars=variables((4, 5), (6,), (6, 7)),
    )
    assert scan_operands(equation) == (2, 1, 2)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_operands_of_a_while_loop(version):
    make, _ = VERSIONS[version]
    names = {"cond_nconsts": 1, "body_nconsts": 2} if version == "0.10" else {}
    equation = SimpleNamespace(
        params={
            **names,
            "cond_jaxpr": make(variables((), (4,), ()), variables(())),
            "body_jaxpr": make(variables((3,), (3,), (4,), ()), variables((4,), ())),
        },
        invars=variables((), (3,), (3,), (4,), ()),
        outvars=variables((4,), ()),
    )
    assert while_operands(equation) == (1, 2, 2)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["jaxpr", "call_jaxpr"])
def test_the_jaxpr_of_a_call(version, name):
    make, _ = VERSIONS[version]
    jaxpr = make(variables((2,)), variables((2,)))
    assert inner_jaxpr({"name": "f", name: jaxpr}) is jaxpr
    assert closed(jaxpr).jaxpr.invars is jaxpr.jaxpr.invars


def test_an_open_jaxpr_is_closed_without_constants():
    given = jax.make_jaxpr(jnp.sin)(1.0).jaxpr
    assert list(inner_jaxpr({"jaxpr": given}).consts) == []


def test_a_call_that_is_not_known_names_its_parameters():
    with pytest.raises(ValueError, match=r"whose parameters are \['body', 'name'\]"):
        inner_jaxpr({"name": "f", "body": None})


def test_equations_of_this_version():
    x, shift = jnp.ones((5, 3)), jnp.ones(3)

    def scanned(x):
        start = (jnp.zeros(3), jnp.zeros(()))
        turn = lambda c, row: ((c[0] + row * x.sum(), c[1] + shift.sum()), (row, c[1]))  # noqa: E731
        return lax.scan(turn, start, x)

    (equation,) = [e for e in jax.make_jaxpr(scanned)(x).eqns if e.primitive.name == "scan"]
    counts = scan_operands(equation)
    assert sum(counts) == len(equation.invars)
    assert counts[1:] == (2, 1)

    def looped(x):
        limit = x.sum()
        return lax.while_loop(lambda c: c[0] < limit, lambda c: (c[0] + 1, c[1] + x), (0.0, x))

    (equation,) = [e for e in jax.make_jaxpr(looped)(x).eqns if e.primitive.name == "while"]
    assert while_operands(equation) == (1, 1, 2)
