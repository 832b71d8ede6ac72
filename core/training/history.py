"""A run's losses as a file, `history.csv`, that a kill leaves readable and a resumed run mends."""

import csv
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Moment:
    """The mean loss of the steps up to `step`, and what was measured on sprites held out."""

    step: int
    images: int
    seconds: float
    rate: float
    loss: float
    validation_loss: float | None = None


class History:
    """The moments of a run, in memory and in a file."""

    def __init__(self, path: Path, step: int = 0) -> None:
        """Go on with the file's moments up to `step`, or begin it anew when there are none."""
        self._path = path
        self.moments = [moment for moment in _read(path) if moment.step <= step]
        partial = path.with_name(path.name + ".part")
        with partial.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow([field.name for field in fields(Moment)])
            table.writerows(map(_row, self.moments))
        partial.replace(path)

    def add(self, moment: Moment) -> None:
        self.moments.append(moment)
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(_row(moment))


def _row(moment: Moment) -> list[object]:
    return ["" if value is None else value for value in astuple(moment)]


def _read(path: Path) -> Iterator[Moment]:
    """The file's whole lines; the last may be torn by a kill."""
    if not path.is_file():
        return
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(line for line in file if line.endswith("\n")):
            last = row["validation_loss"]
            yield Moment(
                int(row["step"]), int(row["images"]), float(row["seconds"]), float(row["rate"]),
                float(row["loss"]), float(last) if last else None,
            )  # fmt: skip
