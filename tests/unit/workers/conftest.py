"""A small plan to render."""

import pytest

from core.request import load
from core.request.plan import Plan
from core.weights.spec import ModelSpec, SamplingDefaults

REQUEST = """
seed: 7
samples: 40
contexts:
  - class: hero
  - mixture: {hero: 1, potion: 0.5}
    negative: {class: potion}
"""


@pytest.fixture(scope="session")
def spec() -> ModelSpec:
    return ModelSpec(
        name="tiny-16",
        title="A model for tests",
        size=16,
        channels=4,
        classes=("hero", "potion"),
        words=("blue",),
        sigma_min=0.002,
        sigma_max=80.0,
        sigma_data=0.5,
        unet={},
        flops=1,
        licence="CC0-1.0",
        data="none",
        trained="never",
        defaults=SamplingDefaults(sampler="dpmpp_2m", steps=12, guidance=2.0),
    )


@pytest.fixture
def plan(spec: ModelSpec) -> Plan:
    return Plan(load.parse(REQUEST), spec)
