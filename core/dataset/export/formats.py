"""The formats by the names that their users give them."""

from core.dataset.export import aseprite, texturepacker
from core.dataset.export.arrays import Arrays
from core.dataset.export.croissant import Croissant
from core.dataset.export.format import Format
from core.dataset.export.imagefolder import ImageFolder
from core.dataset.export.parquet import Parquet
from core.dataset.export.sheets import Sheets
from core.dataset.export.webdataset import WebDataset
from core.errors import Fault, RequestError
from core.request.names import nearest

FORMATS: dict[str, Format] = {
    "webdataset": WebDataset(),
    "parquet": Parquet(),
    "imagefolder": ImageFolder(),
    "numpy": Arrays(),
    "texturepacker": Sheets(texturepacker.atlas),
    "aseprite": Sheets(aseprite.array),
    "aseprite-hash": Sheets(aseprite.by_name),
    "croissant": Croissant(),
}


def named(name: str) -> Format:
    """Raises RequestError for a name that no format has."""
    if name not in FORMATS:
        problem = "there is no such format"
        raise RequestError([Fault("format", name, problem, nearest(name, list(FORMATS)))])
    return FORMATS[name]
