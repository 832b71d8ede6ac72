"""The picture that the sprites of a context start from."""

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from core.errors import UsageError
from core.request import images

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_VARIED = 0.65

Data = Annotated[str, AfterValidator(images.checked)]


class Picture(BaseModel):
    """What is given of a sprite. Files' names are PNG data by now (`images.inline`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: Annotated[
        Data | None, Field(description="A PNG file beside the request, or PNG data, to start from.")
    ] = None
    mask: Annotated[
        Data | None, Field(description="Light where the model draws; elsewhere the image stays.")
    ] = None
    strength: Annotated[
        float | None,
        Field(
            strict=True, gt=0, le=1, allow_inf_nan=False,
            description="How much is drawn anew; 1 with a mask and 0.65 without unless told.",
        ),
    ] = None  # fmt: skip

    @model_validator(mode="after")
    def _belongs(self) -> Self:
        if self.image is None:
            if self.mask is not None or self.strength is not None:
                raise ValueError("mask and strength belong to an image; give one")
        elif self.mask is not None:
            shape = images.pixels(self.image).shape
            if images.pixels(self.mask).shape != shape:
                raise ValueError("image and mask must have one size")
            if not images.drawn_anew(self.mask).any():
                raise ValueError("the mask is dark everywhere: nothing would be drawn")
        return self

    @property
    def start(self) -> Self | None:
        """This, if there is a picture to start from."""
        return self if self.image is not None else None

    @property
    def pixels(self) -> "NDArray[np.uint8]":
        """The image [H, W, 4]. Raises UsageError when there is none."""
        if self.image is None:
            raise UsageError("image: there is none to start from.")
        return images.pixels(self.image)

    @property
    def keep(self) -> "NDArray[np.bool_]":
        """The pixels [H, W] of the image that stay."""
        import numpy as np  # checking a request without pictures needs no arithmetic

        if self.mask is None:
            return np.zeros(self.pixels.shape[:2], dtype=np.bool_)
        return ~images.drawn_anew(self.mask)

    @property
    def share(self) -> float:
        """The share of the sampling's steps that are walked, in (0, 1]."""
        if self.strength is not None:
            return self.strength
        return _VARIED if self.mask is None else 1.0
