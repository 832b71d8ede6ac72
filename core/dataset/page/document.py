"""The page: one HTML file with all that it needs inside, for light and dark."""

import re
from collections.abc import Sequence
from datetime import datetime
from html import escape
from importlib.resources import files

import numpy as np

from core.dataset.page import charts
from core.dataset.page.facts import Facts, Picture
from core.dataset.page.pictures import Section, alike, closest, colour_use, sheets
from core.dataset.page.real import Real
from core.dataset.refusals import told

_LISTED = 40
_NAMES = {
    "agreement": "Agreement of the classifier with the class asked for",
    "colours": "Colours in a sprite",
    "cover": "Share of the square that is visible",
    "largest_piece": "Share of the visible pixels in the largest piece",
    "novelty": "Distance to the nearest training sprite, of 255",
}


def render(
    facts: Facts,
    request: str,
    pictures: Sequence[Picture],
    compared: Sequence[Picture] = (),
    real: Real | None = None,
) -> str:
    """The page of a dataset with the text of its `request`.

    `pictures` are shown by context; `compared`, or else these, are searched for near-duplicates.
    """
    manifest, among = facts.manifest, compared or pictures
    sections = [sheets(facts, pictures), _balance(facts)]
    if among:
        sections.append(colour_use(among))
    sections += [_scores(facts), _refused(facts)]
    if among:
        sections += [alike(facts, among), closest(facts, among, real)]
    sections += [_effort(facts), _provenance(facts, request)]
    shown = [section for section in sections if section[1] or section[2]]
    links = "".join(f'<a href="#{_anchor(title)}">{escape(title)}</a>' for title, *_ in shown)
    return (
        f"{_head(manifest.name)}<body><header><h1>{escape(manifest.name)}</h1>"
        f"<p>{_subtitle(facts)}</p></header>"
        f'<div class="figures">{_figures(facts)}</div><nav>{links}</nav>'
        + "".join(map(_section, shown))
        + f"<footer>Spritemill {escape(manifest.version)} · dataset digest "
        f"<code>{manifest.dataset_digest}</code></footer></body></html>\n"
    )


def _head(name: str) -> str:
    """The head, whose policy lets the page load nothing."""
    style = files("core.dataset.page").joinpath("style.css").read_text("utf-8")
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{escape(name)}: report</title><style>{style}</style></head>"
    )


def _section(section: Section) -> str:
    title, note, body = section
    line = f'<p class="note">{note}</p>' if note else ""
    return f'<section id="{_anchor(title)}"><h2>{escape(title)}</h2>{line}{body}</section>'


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z]+", "-", title.lower())


def _subtitle(facts: Facts) -> str:
    manifest, sampling = facts.manifest, facts.plan.request.sampling
    size = manifest.model.size
    return escape(
        f"{size} x {size} pixels by {manifest.model.name}, {sampling.sampler} with "
        f"{sampling.steps} steps, seed {facts.plan.request.seed}"
    )


def _figures(facts: Facts) -> str:
    manifest, refused = facts.manifest, facts.refusals.drawings
    figures = [
        charts.figure(f"{manifest.samples:,}", "sprites"),
        charts.figure(f"{manifest.contexts:,}", "contexts"),
        charts.figure(_bytes(sum(manifest.sizes().values())), "in all files"),
    ]
    if facts.repeats is not None:
        figures.append(
            charts.figure(f"{facts.repeats:,}", "equal to another", warn=bool(facts.repeats))
        )
    if facts.plan.request.quality is not None:
        share = refused / max(1, refused + manifest.samples)
        figures.append(charts.figure(f"{share:.1%}", "of drawings refused"))
    if manifest.quarantined:
        figures.append(
            charts.figure(f"{len(manifest.quarantined):,}", "samples missing", warn=True)
        )
    if manifest.render_seconds:
        figures.append(charts.figure(_duration(manifest.render_seconds), "of rendering"))
    return "".join(figures)


def _balance(facts: Facts) -> Section:
    counts = facts.classes.most_common()
    more = len(counts) - _LISTED
    note = f"The {_LISTED} largest of {len(counts):,}." if more > 0 else ""
    return "Class balance", note, charts.bars(counts[:_LISTED])


def _scores(facts: Facts) -> Section:
    values = {name: found for name, found in facts.scores().items() if len(found)}
    if not values:
        return "Scores", "", ""
    drawn = "".join(charts.histogram(_NAMES.get(name, name), v) for name, v in values.items())
    note = f"What the rules measured, of {len(facts.scored):,} sprites."
    return "Scores", note, f'<div class="cards">{drawn}</div>'


def _refused(facts: Facts) -> Section:
    rules, refusals = facts.plan.request.quality, facts.refusals
    if rules is None:
        return "Quality control", "The request has no quality rules: every drawing was kept.", ""
    if not refusals.drawings:
        return "Quality control", "No drawing was refused.", ""
    ranked = sorted(refusals.by_context.items(), key=lambda item: (-item[1].total(), item[0]))
    rows = [
        [label, f"{counts.total():,}", told(counts), f"{refusals.unfilled[label]:,}"]
        for label, counts in ranked[:_LISTED]
    ]
    note = (
        f"{refusals.drawings:,} drawings were refused and drawn anew with other noise, each sample "
        f"at most {rules.tries} times. "
    )
    missing = [sample for sample in facts.manifest.quarantined if sample.refused]
    if missing:
        first = ", ".join(sample.key for sample in missing[:3])
        note += f"{len(missing):,} samples could not be filled, first {first}."
    head = ["context", "#refused", "by rule", "#not filled"]
    body = f"{charts.bars(refusals.by_rule.most_common())}<p></p>{charts.table(head, rows)}"
    return "Quality control", escape(note), body


def _effort(facts: Facts) -> Section:
    manifest = facts.manifest
    if not manifest.render_seconds:
        return "Throughput and cost", "", ""
    own = manifest.samples - (manifest.ancestors[-1].samples if manifest.ancestors else 0)
    drawings = manifest.samples + facts.refusals.drawings
    sizes = np.array([shard.size for shard in manifest.shards] or [0])
    rows = {
        "rendering, all shards together": _duration(manifest.render_seconds),
        "sprites a second of rendering": charts.number(own / manifest.render_seconds),
        "a thousand sprites cost": _duration(manifest.render_seconds / own * 1000) if own else "",
        "drawn for a sprite that is kept": f"{drawings / max(1, manifest.samples):.2f}",
        "accepted": manifest.created,
        "first shard begun": manifest.started,
        "finished": manifest.finished,
        "from first shard to the end": _between(manifest.started, manifest.finished),
        "shards": f"{len(sizes):,}, {_bytes(float(sizes.mean()))} each",
    }
    return "Throughput and cost", "", charts.facts(rows)


def _provenance(facts: Facts, request: str) -> Section:
    manifest, model = facts.manifest, facts.manifest.model
    rows = {
        "dataset digest": manifest.dataset_digest,
        "request digest": manifest.request_digest,
        "job": manifest.job,
        "extends": ", then ".join(each.digest for each in manifest.ancestors),
        "model": f"{model.name}: {model.title}",
        "weights, SHA-256": manifest.weights,
        "licence of the model": model.licence,
        "its training data": model.data,
        "its training": model.trained,
        "numerics": ", ".join(f"{name} {value}" for name, value in manifest.numerics.items()),
        "Spritemill": f"{manifest.version}, renderer {manifest.renderer_version}",
    }
    body = charts.facts(rows) + f"<h3>request.yaml</h3><pre>{escape(request)}</pre>"
    return "Provenance", "", body


def _between(start: str, end: str) -> str:
    if not (start and end):
        return ""
    gap = datetime.fromisoformat(end) - datetime.fromisoformat(start)
    return _duration(gap.total_seconds())


def _scaled(value: float, units: Sequence[tuple[float, str]]) -> str:
    scale, unit = next((pair for pair in units if value >= pair[0]), units[-1])
    return f"{charts.number(round(value / scale, 2))} {unit}"


def _duration(seconds: float) -> str:
    return _scaled(seconds, ((3600, "h"), (60, "min"), (1, "s"), (0.001, "ms")))


def _bytes(count: float) -> str:
    return _scaled(count, ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B")))
