"""Whether a file is whole safetensors: proved from its header and its length, without torch.

Source: the format's description in the safetensors repository, section "Format".
"""

import json
import math
from pathlib import Path
from typing import Any

from core.errors import ModelError

_MOST_HEADER = 10 * 2**20
_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2, "F16": 2,
    "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip


def check(path: Path) -> None:
    """Raises ModelError that says what is wrong, of the file and not of what it is for."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            head = file.read(min(length, _MOST_HEADER))
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read: {error.strerror}.", remedy="Give a model's file."
        ) from error
    problem = _problem(length, head, size)
    if problem:
        raise ModelError(
            f"{path.name} is no whole safetensors file: {problem}.",
            remedy="Give a file that `spritemill train` has written.",
        )


def _problem(length: int, head: bytes, size: int) -> str:
    if not 2 <= length <= _MOST_HEADER or not head.startswith(b"{"):
        return "it does not begin with a header"
    if len(head) < length:
        return "it ends within its header"
    try:
        header = json.loads(head)
    except ValueError as error:
        return f"its header is no JSON ({error})"
    header.pop("__metadata__", None)
    data = size - 8 - length
    try:
        end = _end(header)
    except (KeyError, TypeError, ValueError) as error:
        return f"its header does not describe tensors ({error})"
    return "" if end == data else f"its tensors need {end:,} bytes, and it has {data:,}"


def _end(header: dict[str, Any]) -> int:
    """Where the tensors end, which must lie side by side from 0."""
    end = 0
    places = [(tensor["data_offsets"], name) for name, tensor in header.items()]
    for (start, stop), name in sorted(places):
        tensor = header[name]
        count = math.prod(tensor["shape"]) * _BYTES[tensor["dtype"]]
        if start != end or stop - start != count:
            raise ValueError(f"{name} is not where it should be")
        end = stop
    return end
