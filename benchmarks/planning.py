"""Planning and admitting ten million samples, as one context and as 100,000.

Prints, for each: seconds from the request's text to the job's row, the process's peak memory, and
the ledger's answer to the job's status (median of 50).
"""

import itertools
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from core import settings as configuration
from core import weights
from orchestrator.service import Service

SAMPLES = 10_000_000
CONTEXTS = 100_000


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(_measure(sys.argv[1])))
        return
    print(f"machine  {platform.machine()}, Python {platform.python_version()}, SQLite ledger")
    for shape in ("one", "many", "product"):
        asked = subprocess.run([sys.executable, __file__, shape], check=True, capture_output=True)
        found = json.loads(asked.stdout)
        print(
            f"{found['contexts']:>7,} contexts ({shape}, {found['bytes']:,} bytes of request): "
            f"{found['seconds']:.2f} s, {found['memory'] / 2**20:.0f} MB peak, "
            f"status in {found['status'] * 1000:.1f} ms"
        )


def _measure(shape: str) -> dict[str, float]:
    text = _request(shape)
    with (
        tempfile.TemporaryDirectory() as home,
        Service(configuration.load({"home": home})) as service,
    ):
        service.upgrade()
        started = time.perf_counter()
        job = service.submit(text).job
        seconds = time.perf_counter() - started
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        answers = [_timed(lambda: service.status(job.id)) for _ in range(50)]
    return {
        "contexts": job.context_count,
        "bytes": len(text),
        "seconds": seconds,
        "memory": memory,
        "status": statistics.median(answers),
    }


def _timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _request(shape: str) -> str:
    """Ten million samples as one context, as 100,000 of them, or as a product of lists."""
    spec = weights.read_spec(weights.bundled())
    if shape == "one":
        return json.dumps({"samples": SAMPLES, "contexts": [{"class": spec.classes[0]}]})
    each = SAMPLES // CONTEXTS
    pairs = (f"{a} {b}" for a, b in itertools.permutations(spec.words, 2))
    if shape == "many":
        texts = itertools.islice(pairs, CONTEXTS)
        return json.dumps({"samples": each, "contexts": [{"text": text} for text in texts]})
    classes = list(spec.classes[:20])
    texts = list(itertools.islice(pairs, CONTEXTS // len(classes)))
    return json.dumps(
        {"samples": each, "contexts": [{"product": {"class": classes, "text": texts}}]}
    )


if __name__ == "__main__":
    main()
