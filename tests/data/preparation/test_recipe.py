"""A prepared data set has a folder of its own, named by all that decides its examples."""

import dataclasses
import re

import pytest

from jaxseg.data.info import DatasetInfo
from jaxseg.data.preparation.recipe import Recipe, digest

INFO = DatasetInfo("squares", (60, 80), ("a", "b"), ((0, 0, 0), (1, 1, 1)), (0.5,), (0.2,))
RECIPE = Recipe(info=INFO, splits={"train": 1}, examples=iter, inputs={"seed": 0, "cells": 2})


def test_the_name_can_be_read():
    assert re.fullmatch(r"squares-60x80-[0-9a-f]{12}", RECIPE.name)


@pytest.mark.parametrize("inputs", [{"seed": 1, "cells": 2}, {"seed": 0}, {}])
def test_other_inputs_have_another_name(inputs):
    assert dataclasses.replace(RECIPE, inputs=inputs).name != RECIPE.name


def test_the_order_of_the_inputs_plays_no_part():
    assert digest({"a": 1, "b": [2, {"c": 3, "d": 4}]}) == digest(
        {"b": [2, {"d": 4, "c": 3}], "a": 1}
    )
