"""The rules that a sprite must keep: the request's `quality`."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

ENCODER_SIZE = 32
"""The width of the sprites that the bundled classifier and fingerprints are for."""

Share = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
Distance = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Drift(_Part):
    """When a job pauses itself: too many sprites of its last few shards were refused."""

    refused: Annotated[Share, Field(description="The share of drawn sprites that is too many.")]
    shards: Annotated[
        int, Field(strict=True, ge=1, le=10_000, description="Shards that are judged together.")
    ] = 4


class Quality(_Part):
    """What is refused, and drawn anew with other noise. What is left out is not looked at."""

    sound: Annotated[
        bool, Field(strict=True, description="Refuse what is blank, of one colour, or in crumbs.")
    ] = False
    cover: Annotated[
        tuple[Share, Share] | None,
        Field(description="Least and most share of the square that is visible."),
    ] = None
    colours: Annotated[
        int | None, Field(strict=True, ge=1, description="Most colours in a sprite.")
    ] = None
    agreement: Annotated[
        Share | None,
        Field(description="Least probability that the classifier gives to the class asked for."),
    ] = None
    novelty: Annotated[
        Distance | None,
        Field(description="Least distance to the nearest sprite the bundled model was trained on."),
    ] = None
    apart: Annotated[
        Distance | None,
        Field(le=255, description="Least difference from every other sprite of the shard, of 255."),
    ] = None
    tries: Annotated[
        int, Field(strict=True, ge=1, le=1000, description="Most drawings of one sample.")
    ] = 8
    drift: Annotated[Drift | None, Field(description="When the job pauses itself.")] = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not (self.sound or self.by_pixels or self.apart is not None or self.by_encoder):
            raise ValueError("give a rule: sound, cover, colours, agreement, novelty or apart")
        if self.cover is not None and self.cover[0] > self.cover[1]:
            raise ValueError("cover must be [least, most] with least at most most")
        return self

    @property
    def by_pixels(self) -> bool:
        return self.cover is not None or self.colours is not None

    @property
    def by_encoder(self) -> bool:
        """Whether the classifier is needed, or the training sprites' fingerprints."""
        return self.agreement is not None or self.novelty is not None
