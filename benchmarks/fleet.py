"""What the fleet's control plane bears, measured on real PostgreSQL (fsync on) and Redis.

`python -m benchmarks.fleet CASE ...`, or all of the short ones. Each case stands alone; each line
is one figure, with what the design asks for. Processor time is told beside wall time: the latter
is the whole machine's, servers included.
"""

import argparse
import gc
import importlib
import json
import os
import platform
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.scale.ground import Figure

CASES = {
    "ledger": "books",
    "dispatch": "dispatch",
    "questions": "questions",
    "through": "through",
    "slots": "slots",
    "huge": "huge",
    "sqlite": "locks",
    "soak": "soak",
}
SHORT = ("ledger", "dispatch", "questions", "through", "sqlite")


def main() -> None:
    gc.set_threshold(50_000)  # as the command line does, and so the mill
    options = _options()
    if not options.json:
        print(
            f"machine  {platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
            f"load {os.getloadavg()[0]:.1f}"
        )
    for case in options.cases or SHORT:
        for figure in _figures(case, options):
            _tell(case, figure, as_json=options.json)


def _figures(case: str, options: argparse.Namespace) -> Iterator["Figure"]:
    measure: Callable[..., Iterator[Figure]]
    measure = importlib.import_module(f"benchmarks.scale.{CASES[case]}").measure
    return measure(minutes=options.minutes) if case == "soak" else measure()


def _tell(case: str, figure: "Figure", *, as_json: bool) -> None:
    if as_json:
        told = {"case": case, "what": figure.what, "value": figure.value, "unit": figure.unit}
        print(json.dumps({**told, "wanted": figure.wanted}), flush=True)
        return
    wanted = f"   (wanted: {figure.wanted})" if figure.wanted else ""
    print(f"{case:9} {figure.what:58} {figure.value:12,.2f} {figure.unit}{wanted}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], help=", ".join(CASES))
    parser.add_argument("--json", action="store_true", help="a line of JSON for each figure")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long the soak lasts")
    return parser.parse_args()


if __name__ == "__main__":
    main()
