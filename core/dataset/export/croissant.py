"""Croissant: `croissant.json`, metadata by which its readers load the Parquet files beside it.

Source: "Croissant Format Specification", version 1.0, MLCommons 2024.
"""

import json
from typing import Any

from core.dataset.export import card
from core.dataset.export.features import features
from core.dataset.export.format import Job, Piece
from core.dataset.export.parquet import Parquet

NAME = "croissant.json"
FILES, RECORDS = "parquet", "samples"
_VERSION = "1.0.0"
_DESCRIPTIONS = {
    "image": "The sprite, a PNG file.",
    "label": "The number of its class among the model's; -1 without one.",
    "class": "The class that was asked for, if exactly one.",
    "caption": "The text that was asked for, or else the context.",
    "context": "What was asked for, for people.",
    "context_id": "What was asked for, as 16 hexadecimal digits.",
    "key": "The sprite's name.",
    "number": "Its place in the dataset.",
    "index": "Its place among the samples of its context.",
    "seed": "The key of its noise.",
    "sha256": "SHA-256 of its RGBA pixels.",
    "scores": "What quality control measured, as JSON.",
}
_TYPES = {"Image": "sc:ImageObject", "ClassLabel": "sc:Integer"}
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


class Croissant(Parquet):
    """Parquet files as `parquet` writes them, and what describes them."""

    def conclude(self, pieces: list[Piece], job: Job) -> None:
        job.put_json(NAME, json.dumps(metadata(job), indent=1, ensure_ascii=False) + "\n")
        files = {piece.split: f"data/{piece.split}-*.parquet" for piece in pieces}
        card.put(job, "croissant", files, features(job.manifest.model.classes))


def metadata(job: Job) -> dict[str, Any]:
    """The JSON-LD document."""
    manifest = job.manifest
    columns = features(manifest.model.classes)
    samples = sum(job.selection.counts().values())
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": manifest.name,
        "description": f"{samples:,} synthetic sprites of {job.size} x {job.size} pixels, drawn by "
        f"the model {manifest.model.name} and exported by Spritemill {manifest.version}.",
        "citeAs": f"{manifest.name}, a Spritemill dataset, sha256:{manifest.dataset_digest}",
        "license": manifest.model.licence,
        "url": f"urn:sha256:{manifest.dataset_digest}",
        "version": _VERSION,
        "datePublished": manifest.created,
        "distribution": [
            {
                "@type": "cr:FileSet",
                "@id": FILES,
                "name": FILES,
                "description": "The sprites with their records.",
                "encodingFormat": "application/x-parquet",
                "includes": "data/*.parquet",
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": RECORDS,
                "name": RECORDS,
                "description": "One record for each sprite.",
                "key": {"@id": f"{RECORDS}/key"},
                "field": [_field(name, feature) for name, feature in columns.items()],
            }
        ],
    }


def _field(name: str, feature: dict[str, Any]) -> dict[str, Any]:
    source: dict[str, Any] = {"fileSet": {"@id": FILES}, "extract": {"column": name}}
    if feature["_type"] == "Image":
        source["transform"] = {"jsonPath": "bytes"}
    kind = "sc:Integer" if feature.get("dtype") == "int64" else "sc:Text"
    return {
        "@type": "cr:Field",
        "@id": f"{RECORDS}/{name}",
        "name": f"{RECORDS}/{name}",
        "description": _DESCRIPTIONS[name],
        "dataType": _TYPES.get(feature["_type"], kind),
        "source": source,
    }
