"""The dataset card: README.md for people, with front matter for the Hugging Face Hub."""

from itertools import islice

import yaml

from core.dataset.layout import PREVIEW
from core.dataset.manifest import Manifest
from core.request.plan import Plan

_LISTED = 100
_LICENCES = ("apache-2.0", "cc-by-4.0", "cc-by-sa-4.0", "cc0-1.0", "mit")
_TILES = {"x": "left to right", "y": "top to bottom", "both": "all around"}
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


def render(plan: Plan, manifest: Manifest) -> str:
    """The card of a dataset, of which `manifest` need not name the files yet."""
    request, spec, samples = plan.request, plan.spec, manifest.samples
    size = request.pixels.size
    parts = [
        _front(plan, samples),
        f"# {request.name}\n\n{samples:,} synthetic sprites of {size} x {size} pixels in "
        f"{plan.context_count:,} contexts, made with Spritemill from `request.yaml`.\n",
        f"![Sprites of each context]({PREVIEW})\n" if request.outputs.preview else "",
        _made(plan, manifest),
        f"## Model and licence\n\n{spec.title}. {spec.trained}\n\n"
        f"- Licence of the model: {spec.licence}\n- Its training data: {spec.data}\n",
        _contexts(plan),
        _refused(manifest),
        _failed(manifest),
        _LOADING,
    ]
    return "\n".join(filter(None, parts))


def _front(plan: Plan, samples: int) -> str:
    values = {
        "pretty_name": plan.request.name,
        **licence_fields(plan.spec.licence),
        "task_categories": ["unconditional-image-generation", "text-to-image"],
        "tags": ["sprites", "pixel-art", "synthetic", "diffusion", "webdataset", "spritemill"],
        "size_categories": [size_category(samples)],
        "configs": [{"config_name": "default", "data_files": "shards/*.tar"}],
    }
    return f"---\n{yaml.safe_dump(values, sort_keys=False, allow_unicode=True)}---\n"


def licence_fields(licence: str) -> dict[str, str]:
    """A licence as the Hub's front matter names it."""
    short = licence.strip().lower()
    if short in _LICENCES:
        return {"license": short}
    return {"license": "other", "license_name": licence}


def size_category(samples: int) -> str:
    """The Hub's name for about so many samples."""
    return next((name for below, name in _SIZES if samples < below), "n>1B")


def _made(plan: Plan, manifest: Manifest) -> str:
    request, sampling, pixels = plan.request, plan.request.sampling, plan.request.pixels
    facts = {
        "model": f"{plan.spec.name}, weights sha256 `{manifest.weights}`",
        "sampler": f"{sampling.sampler}, {sampling.steps} steps",
        "guidance": f"{sampling.guidance:g}"
        + ("" if sampling.text_guidance is None else f", {sampling.text_guidance:g} by words")
        + (f", for sigma in {sampling.interval}" if sampling.interval else ""),
        "eta": "" if sampling.eta is None else f"{sampling.eta:g}",
        "seed": str(request.seed),
        "transparency": request.pixels.alpha,
        "palette": _palette(request.pixels.palette),
        "colours": f"at most {pixels.colours} in a sprite" if pixels.colours else "",
        "tiles": _TILES.get(pixels.tile or "", ""),
        "request digest": f"`{manifest.request_digest}`",
        "dataset digest": f"`{manifest.dataset_digest}`",
        "extends": ", then ".join(f"`{each.digest}`" for each in manifest.ancestors),
        "numerics": ", ".join(f"{name} {value}" for name, value in manifest.numerics.items()),
        "Spritemill": f"{manifest.version}, renderer {manifest.renderer_version}",
        "time": _time(manifest),
    }
    lines = [f"| {name} | {value} |" for name, value in facts.items() if value]
    return "\n".join(["## How it was made\n", "| | |", "| --- | --- |", *lines, ""])


def _palette(asked: tuple[str, ...] | int | None) -> str:
    if isinstance(asked, int):
        return f"{asked} colours, chosen for the whole dataset"
    return " ".join(asked or ())


def _time(manifest: Manifest) -> str:
    told = f"accepted {manifest.created}"
    if manifest.finished:
        told += f", finished {manifest.finished}, {manifest.render_seconds:,.0f} s of rendering"
    return told


def _contexts(plan: Plan) -> str:
    lines = [
        f"| {cell(context.label)} | {samples:,} |"
        for context, samples in islice(plan.contexts(), _LISTED)
    ]
    more = plan.context_count - _LISTED
    tail = [f"\nand {more:,} contexts more, listed in `index.parquet`."] if more > 0 else []
    return "\n".join(["## Contexts\n", "| context | sprites |", "| --- | --- |", *lines, *tail, ""])


def _refused(manifest: Manifest) -> str:
    """What quality control drew anew, and what is not there for it."""
    if not manifest.refused:
        return ""
    drawings = sum(manifest.refused.values())
    lines = [f"| {rule} | {count:,} |" for rule, count in manifest.refused.items()]
    unfilled = sum(1 for sample in manifest.quarantined if sample.refused)
    left_out = (
        "Every sample was filled."
        if not unfilled
        else (
            f"{unfilled:,} of the samples asked for are not in the dataset, because each of their "
            "drawings was refused; `manifest.json` names them."
        )
    )
    return "\n".join(
        [
            f"## Quality control\n\n{drawings:,} drawings were refused and drawn anew with other "
            f"noise. {left_out}\n",
            "| rule | drawings refused |", "| --- | --- |", *lines, "",
        ]
    )  # fmt: skip


def _failed(manifest: Manifest) -> str:
    """What is not there because it could not be rendered."""
    failed = len(manifest.failed())
    told = "of the samples asked for could not be rendered; `manifest.json` names them."
    return f"## Missing\n\n{failed:,} {told}\n" if failed else ""


def cell(text: str) -> str:
    """Text that stays one cell of a table, whatever it holds."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return "".join("\\" + sign if sign in "\\`*_[]|!" else sign for sign in plain)
