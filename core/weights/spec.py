"""What a weights file says of itself, in its own header."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class SamplingDefaults(BaseModel):
    """The sampling that the model was judged with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sampler: Literal["ddpm", "ddim", "dpmpp_2m", "dpmpp_2m_sde", "heun"]
    steps: int
    guidance: float
    text_guidance: float | None = None


class Betas(BaseModel):
    """The discrete times of a model that predicts noise; betas rise linearly over them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    timesteps: Annotated[int, Field(ge=2, le=1000)]
    start: Annotated[float, Field(gt=0, lt=1)]
    end: Annotated[float, Field(gt=0, lt=1)]


class ModelSpec(BaseModel):
    """A model's pixels, vocabulary, network and provenance.

    A context vector holds a weight for each class, then one for each word. `betas` belong to the
    network `context-unet`; `unet` are the sizes of whichever network it is. `chroma` tells how
    strong the noise of hues is beside that of brightness.
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
    chroma: Annotated[float, Field(gt=0, le=1)] = 1.0
    network: Literal["unet", "context-unet"] = "unet"
    betas: Betas | None = None
    unet: dict[str, Any]
    flops: int
    licence: str
    data: str
    trained: str
    defaults: SamplingDefaults

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.network == "context-unet") != (self.betas is not None):
            raise ValueError("betas belong to the network context-unet, and must be there")
        if self.betas and self.chroma != 1:
            raise ValueError("chroma belongs to the network unet")
        discrete = self.defaults.sampler in ("ddpm", "ddim")
        if self.betas and discrete and self.defaults.steps > self.betas.timesteps:
            raise ValueError("its defaults take more steps than it has times")
        return self

    @property
    def context_length(self) -> int:
        return len(self.classes) + len(self.words)
