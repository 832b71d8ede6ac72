"""The three package names belong to this distribution alone."""

from importlib.metadata import packages_distributions

import pytest


@pytest.mark.parametrize("name", ["core", "orchestrator", "workers"])
def test_no_other_distribution_owns_the_package(name: str) -> None:
    owners = packages_distributions().get(name, ["spritemill"])
    assert set(owners) == {"spritemill"}
