"""What pictures and pixels of a request do not go with its model, or with each other."""

from core.errors import Fault
from core.request import images
from core.request.picture import Picture
from core.request.spec import Request
from core.weights.spec import ModelSpec


def faults(request: Request, spec: ModelSpec) -> list[Fault]:
    """Pictures of another size than the model's, sides that its network cannot join, and colours
    that cannot be chosen any more.
    """
    found = []
    for number, entry in enumerate(request.contexts):
        found += _picture(entry, f"contexts[{number}].image", spec)
    tile = request.pixels.tile
    if tile and spec.network == "context-unet":
        # its deepest layer spreads one pixel over all places, to each by weights of its own
        problem = f"the model {spec.name} has a network that draws each place by itself"
        found.append(Fault("pixels.tile", tile, problem, "Leave it out, or name another model."))
    if request.parent is not None and isinstance(request.pixels.palette, int):
        found.append(
            Fault("pixels.palette", str(request.pixels.palette),
                  "colours chosen for a whole dataset do not fit what is added to it",
                  "Make a new dataset, or list the colours.")
        )  # fmt: skip
    return found


def _picture(given: Picture, field: str, spec: ModelSpec) -> list[Fault]:
    if given.image is None:
        return []
    height, width, _ = images.pixels(given.image).shape
    if (height, width) == (spec.size, spec.size):
        return []
    problem = f"the model {spec.name} makes {spec.size} x {spec.size} pixels"
    return [Fault(field, f"{width} x {height}", problem, "Give a picture of that size.")]
