"""A small model's header, enough to plan for."""

import pytest

from core.weights.spec import ModelSpec, SamplingDefaults


@pytest.fixture(scope="session")
def spec() -> ModelSpec:
    return ModelSpec(
        name="dungeon-32",
        title="A model for tests",
        size=32,
        channels=4,
        classes=("hero", "potion", "weapon"),
        words=("armchair", "avocado", "blue", "flaming", "red", "sword"),
        sigma_min=0.002,
        sigma_max=80.0,
        sigma_data=0.5,
        unet={},
        flops=1_000_000,
        licence="CC0-1.0",
        data="none",
        trained="never",
        defaults=SamplingDefaults(sampler="dpmpp_2m", steps=12, guidance=2.0),
    )
