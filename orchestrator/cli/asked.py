"""The request that a call names: a file, standard input, or a few flags."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from core.errors import UsageError

SAMPLES = 20
"""Sprites of each context when only flags are given."""


def request_text(path: str) -> str:
    """The text of a request file with its pictures in it; `-` is standard input.

    Raises RequestError.
    """
    from core.request import document, images

    if path == "-":
        raw = sys.stdin.buffer.read(document.MAX_BYTES + 1)
        text, folder = document.decode(raw, "standard input"), Path()
    else:
        text, folder = document.read(Path(path)), Path(path).parent
    if not images.mentioned(text):
        return text
    return json.dumps(images.inline(document.parse(text), folder))


def text_of(
    path: str | None,
    classes: Sequence[str],
    texts: Sequence[str],
    samples: int | None,
    seed: int | None,
) -> str:
    """The request as text, from a file or from flags, never both. Raises UsageError."""
    flags = bool(classes or texts or samples is not None or seed is not None)
    if path is not None and flags:
        raise UsageError(
            f"{path} says already what to make.",
            remedy="Give a request file, or --class, --text, -n and --seed, not both.",
        )
    if path is not None:
        return request_text(path)
    if not (classes or texts):
        raise UsageError(
            "nothing is asked for.",
            remedy="Name a request file (`spritemill init` writes one), or say --class NAME -n 20.",
        )
    contexts = [{"class": name} for name in classes] + [{"text": text} for text in texts]
    wanted = SAMPLES if samples is None else samples
    return json.dumps({"samples": wanted, "seed": seed or 0, "contexts": contexts})
