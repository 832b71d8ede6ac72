"""The mill's folder."""

from pathlib import Path

from core.errors import UsageError


def make(folder: Path) -> None:
    """Make a folder of the mill. Raises UsageError where this user cannot."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"home: {folder} cannot be made: {error.strerror}.",
            remedy="Name a folder that this user can write with --home or SPRITEMILL_HOME.",
        ) from error
