"""What a weights file says of itself, in its own header."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class SamplingDefaults(BaseModel):
    """The sampling that the model was judged with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sampler: Literal["ddpm", "ddim", "dpmpp_2m"]
    steps: int
    guidance: float


class ModelSpec(BaseModel):
    """A model's pixels, vocabulary, network and provenance.

    A context vector holds a weight for each class, then one for each word.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["spritemill-model/1"] = "spritemill-model/1"
    name: str
    title: str
    size: int
    channels: int
    classes: tuple[str, ...]
    words: tuple[str, ...]
    sigma_min: float
    sigma_max: float
    sigma_data: float
    unet: dict[str, Any]
    flops: int
    licence: str
    data: str
    trained: str
    defaults: SamplingDefaults

    @property
    def context_length(self) -> int:
        return len(self.classes) + len(self.words)
