"""The card of an export, README.md, by which a hub knows how to load and to describe it."""

from collections.abc import Mapping
from typing import Any

import yaml

from core.dataset.card import cell, licence_fields, size_category
from core.dataset.export.format import Job
from core.dataset.layout import CARD, content_type

_LOADING = {
    "webdataset": """\
from datasets import load_dataset

for sample in load_dataset("webdataset", data_dir=".", split="{split}", streaming=True):
    sample["png"], sample["cls"], sample["txt"], sample["json"]
""",
    "parquet": """\
from datasets import load_dataset

for sample in load_dataset(".", split="{split}", streaming=True):
    sample["image"], sample["label"], sample["caption"]
""",
    "imagefolder": """\
from datasets import load_dataset

for sample in load_dataset(".", split="{split}"):
    sample["image"], sample["label"], sample["caption"]
""",
    "croissant": """\
import mlcroissant

for record in mlcroissant.Dataset("croissant.json").records("samples"):
    record["samples/image"], record["samples/class"], record["samples/caption"]
""",
}


def put(
    job: Job, kind: str, files: Mapping[str, str], features: Mapping[str, dict[str, Any]] | None
) -> None:
    """Write the card of an export whose parts' files match the patterns of `files`."""
    text = _front(job, kind, files, features) + "\n" + _text(job, kind)
    job.out.put(CARD, text.encode(), content_type=content_type(CARD))


def _front(
    job: Job, kind: str, files: Mapping[str, str], features: Mapping[str, dict[str, Any]] | None
) -> str:
    manifest, counts = job.manifest, job.selection.counts()
    tags = ["sprites", "pixel-art", "synthetic", "diffusion", kind, "spritemill"]
    data_files = [{"split": split, "path": path} for split, path in files.items()]
    values: dict[str, Any] = {
        "pretty_name": manifest.name,
        **licence_fields(manifest.model.licence),
        "task_categories": ["unconditional-image-generation", "text-to-image"],
        "tags": tags,
        "size_categories": [size_category(sum(counts.values()))],
    }
    config: dict[str, Any] = {"config_name": "default", "data_files": data_files}
    if features is not None:
        config["features"] = [
            {"name": name, "dtype": _dtype(each)} for name, each in features.items()
        ]
    values["configs"] = [config]
    return f"---\n{yaml.safe_dump(values, sort_keys=False, allow_unicode=True)}---\n"


def _dtype(feature: Mapping[str, Any]) -> Any:
    if feature["_type"] == "Image":
        return "image"
    if feature["_type"] == "ClassLabel":
        names = {str(place): name for place, name in enumerate(feature["names"])}
        return {"class_label": {"names": names}}
    return feature["dtype"]


def _text(job: Job, kind: str) -> str:
    manifest, options = job.manifest, job.options
    counts = job.selection.counts()
    split = next(iter(counts))
    facts = {
        "dataset digest": f"`{manifest.dataset_digest}`",
        "model": f"{manifest.model.name}, weights sha256 `{manifest.weights}`",
        "licence of the model": cell(manifest.model.licence),
        "its training data": cell(manifest.model.data),
        "filter": f"`` {options.where} ``".replace("|", "\\|") if options.where else "",
        "names": f"`{options.name}`",
        "scale": str(options.scale) if options.scale > 1 else "",
        "palette": " ".join(options.palette) if isinstance(options.palette, tuple) else "",
        "near-duplicates left out": f"{job.selection.duplicates:,}" if options.unique else "",
        "Spritemill": manifest.version,
        **{f"sprites in {name}": f"{count:,}" for name, count in counts.items()},
    }
    rows = [f"| {name} | {value} |" for name, value in facts.items() if value]
    loading = _LOADING[kind].format(split=split)
    head = (
        f"# {manifest.name}\n\n{sum(counts.values()):,} synthetic sprites of {job.size} x "
        f"{job.size} pixels, exported by Spritemill.\n"
    )
    table = "\n".join(["| | |", "| --- | --- |", *rows, ""])
    return f"{head}\n{table}\n## Loading\n\n```python\n{loading}```\n"
