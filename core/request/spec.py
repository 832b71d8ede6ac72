"""The request: which sprites, how many of each, made how."""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from core.request import deadline, palettes
from core.request.names import Name
from core.request.picture import Picture
from core.request.quality import Quality

MAX_STEPS = 1000
MAX_WEIGHT = 100.0
MAX_WORKERS = 1_000_000
LARGEST_SHARD = 65536

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Weight = Annotated[Number, Field(ge=-MAX_WEIGHT, le=MAX_WEIGHT)]
Count = Annotated[int, Field(strict=True, ge=1)]
Text = Annotated[str, Field(min_length=1, max_length=500)]
Colours = Annotated[int, Field(strict=True, ge=1, le=256)]
COLOUR = r"^#[0-9a-fA-F]{6}$"
Listed = Annotated[
    tuple[Annotated[str, Field(pattern=COLOUR)], ...],
    Field(min_length=1, max_length=256),
]
Palette = Annotated[
    Annotated[Listed, Tag("#list")] | Annotated[Colours, Tag("#count")],
    Discriminator(lambda value: "#list" if isinstance(value, list | tuple) else "#count"),
    BeforeValidator(palettes.named, json_schema_input_type=Listed | Colours | palettes.Name),
]


def _deadline(given: str | None) -> str | None:
    if given is not None:
        deadline.moment(given, 0.0)
    return given


def _weighing(mixture: dict[str, float]) -> dict[str, float]:
    if abs(math.fsum(mixture.values())) < 1e-9:
        raise PydanticCustomError("sums_to_zero", "the weights of the mixture sum to zero")
    return mixture


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=False)


class Asked(_Part):
    """A point in context space: a class or a mixture, with or without text; or a raw vector."""

    class_name: Annotated[str | None, Field(alias="class", description="One of the classes.")] = (
        None
    )
    mixture: Annotated[
        Annotated[dict[str, Weight], Field(min_length=1), AfterValidator(_weighing)] | None,
        Field(description="Classes with weights, used as given."),
    ] = None
    text: Annotated[Text | None, Field(description="Words that the model knows.")] = None
    vector: Annotated[
        tuple[Weight, ...] | None,
        Field(min_length=1, description="The context vector itself, as long as the model's."),
    ] = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.class_name is not None and self.mixture is not None:
            raise ValueError("give a class or a mixture, not both")
        if self.vector is not None and (self.class_name or self.mixture or self.text):
            raise ValueError("a vector stands alone")
        return self

    @property
    def empty(self) -> bool:
        return not (self.class_name or self.mixture or self.text or self.vector)


class Product(_Part):
    """Every class with every text: a list of contexts in two lines."""

    classes: Annotated[
        tuple[str, ...], Field(alias="class", min_length=1, description="The classes.")
    ]
    text: Annotated[tuple[Text, ...], Field(min_length=1, description="The texts.")]


class ContextSpec(Asked, Picture):
    """One entry of the request's list of contexts."""

    product: Annotated[Product | None, Field(description="Every class with every text.")] = None
    unconditional: Annotated[
        Literal[True] | None, Field(description="No context at all: whatever the model makes.")
    ] = None
    negative: Annotated[Asked | None, Field(description="What to steer away from.")] = None
    samples: Annotated[
        Count | None, Field(description="Sprites of each context; overrides the request's.")
    ] = None
    first: Annotated[
        int | None,
        Field(strict=True, ge=1, description="Goes on with a context above, from this index."),
    ] = None

    @model_validator(mode="after")
    def _one_context(self) -> Self:
        kinds = [not self.empty, self.product is not None, self.unconditional is not None]
        if sum(kinds) != 1:
            raise ValueError(
                "give one of: class, mixture, text (alone or with those), vector, product, "
                "unconditional"
            )
        if self.negative is not None and self.negative.empty:
            raise ValueError("the negative says nothing; give a class, mixture, text or vector")
        return self


class Sampling(_Part):
    """How noise becomes a sprite. What is left out, the model's defaults fill in."""

    sampler: Annotated[
        Literal["ddpm", "ddim", "dpmpp_2m", "dpmpp_2m_sde", "heun"] | None,
        Field(description="The sampling method."),
    ] = None
    steps: Annotated[
        int | None, Field(strict=True, ge=1, le=MAX_STEPS, description="Denoising steps.")
    ] = None
    step_size: Annotated[
        int | None,
        Field(strict=True, ge=1, le=MAX_STEPS, description="In place of steps: times in a step."),
    ] = None
    guidance: Annotated[
        Number | None, Field(ge=0, le=30, description="Classifier-free guidance; 1 is none.")
    ] = None
    text_guidance: Annotated[
        Number | None,
        Field(ge=0, le=30, description="In its place for words beside a class, away from that."),
    ] = None
    eta: Annotated[
        Number | None, Field(ge=0, le=1, description="Noise that DDIM adds; 1 is as DDPM.")
    ] = None
    interval: Annotated[
        tuple[Number, Number] | None,
        Field(description="Noise levels (sigma, low to high) within which guidance acts."),
    ] = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.eta is not None and self.sampler != "ddim":
            raise ValueError("eta belongs to the ddim sampler; name it or leave eta out")
        if self.step_size is not None and self.sampler not in ("ddim", "ddpm"):
            raise ValueError("step_size belongs to the samplers ddim and ddpm; name one")
        if self.interval is not None and not 0 <= self.interval[0] < self.interval[1]:
            raise ValueError("the interval must be [low, high] with 0 <= low < high")
        return self


class Pixels(_Part):
    """What a sprite's pixels are."""

    size: Annotated[
        int | None, Field(strict=True, ge=1, description="Width and height; the model's own.")
    ] = None
    alpha: Annotated[
        Literal["binary", "soft", "opaque"] | None,
        Field(
            description="Transparency: all or nothing, as the model drew it, or on black. "
            "Left out: binary, or opaque where the model knows no transparency."
        ),
    ] = None
    palette: Annotated[
        Palette | None,
        Field(description="Colours to snap to: a list of #rrggbb, a name, or how many to choose."),
    ] = None
    colours: Annotated[
        Colours | None, Field(description="Most colours in a sprite; like ones become one.")
    ] = None
    tile: Annotated[
        Literal["x", "y", "both"] | None,
        Field(description="Sides that join their opposites without a seam."),
    ] = None


class Outputs(_Part):
    """How the dataset is laid out."""

    shard_samples: Annotated[
        int | None, Field(strict=True, ge=1, le=LARGEST_SHARD, description="Sprites in a shard.")
    ] = None
    preview: Annotated[bool, Field(strict=True, description="Whether to draw a sheet.")] = True


class Parent(_Part):
    """The dataset that a request extends: its job, its digest, and how much of it there is."""

    job: Annotated[str, Field(pattern=r"^[a-z0-9]{12}$")]
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    samples: Annotated[int, Field(strict=True, ge=1)]
    shards: Annotated[int, Field(strict=True, ge=1)]


Extended = Annotated[
    Annotated[str, Tag("#name")] | Annotated[Parent, Tag("#part")],
    Discriminator(lambda value: "#part" if isinstance(value, dict | Parent) else "#name"),
]


class Budget(_Part):
    """How much a job may spend."""

    gpu_seconds: Annotated[
        Number, Field(gt=0, description="Seconds of rendering, of all workers together.")
    ]


class Request(_Part):
    """A whole request."""

    version: Annotated[Literal[1], Field(description="Version of this format.")] = 1
    name: Annotated[Name, Field(description="A name for people.")] = "sprites"
    model: Annotated[
        str,
        Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="The model, by its name."),
    ] = "dungeon-32"
    seed: Annotated[
        int, Field(strict=True, ge=0, lt=2**63, description="Other seed, other sprites.")
    ] = 0
    parent: Annotated[
        Extended | None,
        Field(description="A job, or the digest of its dataset, that this one extends."),
    ] = None
    samples: Annotated[Count | None, Field(description="Sprites of each context.")] = None
    contexts: Annotated[
        tuple[ContextSpec, ...],
        Field(min_length=1, max_length=1_000_000, description="Which sprites."),
    ]
    sampling: Annotated[Sampling, Field(description="How they are made.")] = Sampling()
    pixels: Annotated[Pixels, Field(description="What their pixels are.")] = Pixels()
    quality: Annotated[Quality | None, Field(description="Which are drawn anew.")] = None
    outputs: Annotated[Outputs, Field(description="How they are laid out.")] = Outputs()
    priority: Annotated[
        int,
        Field(strict=True, ge=-100, le=100, description="Higher goes first of an owner's jobs."),
    ] = 0
    workers: Annotated[
        int | None,
        Field(strict=True, ge=1, le=MAX_WORKERS, description="At most so many at once."),
    ] = None
    deadline: Annotated[
        str | None,
        AfterValidator(_deadline),
        Field(description="When to pause: 12h after it is accepted, or 2030-01-31T18:00:00Z."),
    ] = None
    budget: Annotated[Budget | None, Field(description="How much to spend before a pause.")] = None
    at_end: Annotated[
        Literal["drain", "stop"] | None,
        Field(description="At either, shards under way are finished, or handed back at once."),
    ] = None


def json_schema() -> dict[str, Any]:
    """The request's JSON Schema: what editors, forms and other programs check against."""
    schema = Request.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
