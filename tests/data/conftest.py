import pytest

from jaxseg import data

TINY = {"size": 16, "cells": 4, "train": 12, "validation": 5, "test": 3}


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory):
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture(scope="session")
def tiny(tiny_root):
    """A prepared mosaic of a few small images; tests must not change its files."""
    return data.mosaic(**TINY, data_dir=tiny_root)
