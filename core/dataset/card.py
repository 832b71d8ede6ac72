"""The dataset card: README.md for people, with front matter for the Hugging Face Hub."""

from itertools import islice

import yaml

from core.dataset.layout import PREVIEW
from core.request.plan import Plan

_LISTED = 100
_LICENCES = ("apache-2.0", "cc-by-4.0", "cc-by-sa-4.0", "cc0-1.0", "mit")
_SIZES = (
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"),
    (10**9, "100M<n<1B"),
)
_LOADING = """\
## Loading

```python
from glob import glob

import webdataset as wds

shards = sorted(glob("shards/*.tar"))
for sample in wds.WebDataset(shards, shardshuffle=False).decode("pilrgba"):
    image, record = sample["png"], sample["json"]
```

Shards are plain tar files of `<key>.png` and `<key>.json`; `index.parquet` has a row for each
sprite, and needs no shard to be opened:

```python
import pyarrow.parquet

index = pyarrow.parquet.read_table("index.parquet")
```

## Verifying

`manifest.json` names and hashes every file. This checks them all, decodes every sprite and
computes the digest again, without a network:

```console
$ spritemill verify .
```
"""


def render(plan: Plan, weights: str, samples: int, digest: str) -> str:
    """The card of a dataset of `samples` sprites."""
    request, spec = plan.request, plan.spec
    size = request.pixels.size
    parts = [
        _front(plan, samples),
        f"# {request.name}\n\n{samples:,} synthetic sprites of {size} x {size} pixels in "
        f"{plan.context_count:,} contexts, made with Spritemill from `request.yaml`.\n",
        f"![Sprites of each context]({PREVIEW})\n" if request.outputs.preview else "",
        _made(plan, weights, digest),
        f"## Model and licence\n\n{spec.title}. {spec.trained}\n\n"
        f"- Licence of the model: {spec.licence}\n- Its training data: {spec.data}\n",
        _contexts(plan),
        _LOADING,
    ]
    return "\n".join(filter(None, parts))


def _front(plan: Plan, samples: int) -> str:
    licence = plan.spec.licence.strip().lower()
    known = licence in _LICENCES
    category = next((name for below, name in _SIZES if samples < below), "n>1B")
    values = {
        "pretty_name": plan.request.name,
        "license": licence if known else "other",
        **({} if known else {"license_name": plan.spec.licence}),
        "task_categories": ["unconditional-image-generation", "text-to-image"],
        "tags": ["sprites", "pixel-art", "synthetic", "diffusion", "webdataset", "spritemill"],
        "size_categories": [category],
        "configs": [{"config_name": "default", "data_files": "shards/*.tar"}],
    }
    return f"---\n{yaml.safe_dump(values, sort_keys=False, allow_unicode=True)}---\n"


def _made(plan: Plan, weights: str, digest: str) -> str:
    request, sampling = plan.request, plan.request.sampling
    facts = {
        "model": f"{plan.spec.name}, weights sha256 `{weights}`",
        "sampler": f"{sampling.sampler}, {sampling.steps} steps",
        "guidance": f"{sampling.guidance:g}"
        + (f", for sigma in {sampling.interval}" if sampling.interval else ""),
        "eta": "" if sampling.eta is None else f"{sampling.eta:g}",
        "seed": str(request.seed),
        "transparency": request.pixels.alpha,
        "palette": " ".join(request.pixels.palette or ()),
        "dataset digest": f"`{digest}`",
    }
    lines = [f"| {name} | {value} |" for name, value in facts.items() if value]
    return "\n".join(["## How it was made\n", "| | |", "| --- | --- |", *lines, ""])


def _contexts(plan: Plan) -> str:
    lines = [
        f"| {_cell(context.label)} | {samples:,} |"
        for context, samples in islice(plan.contexts(), _LISTED)
    ]
    more = plan.context_count - _LISTED
    tail = [f"\nand {more:,} contexts more, listed in `index.parquet`."] if more > 0 else []
    return "\n".join(["## Contexts\n", "| context | sprites |", "| --- | --- |", *lines, *tail, ""])


def _cell(text: str) -> str:
    """Text that stays one cell of a table, whatever it holds."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return "".join("\\" + sign if sign in "\\`*_[]|!" else sign for sign in plain)
