"""What a request may be called, and names that were perhaps meant."""

import difflib
from typing import Annotated

from pydantic import Field

NAME = r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$"
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=NAME)]


def nearest(name: str, known: list[str]) -> str:
    """A remedy that offers the names nearest to a wrong one."""
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.6)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    shown = ", ".join(known[:24]) + (", ..." if len(known) > 24 else "")
    return f"Known are: {shown}."
