"""Memory: how much a worker's device has, and whether that was too little."""

import psutil

_CPU = "can't allocate memory"


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out; torch's own is known by its name, without torch.

    On a CPU torch raises a plain RuntimeError, which only its text tells.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"MemoryError", "OutOfMemoryError"}) or _CPU in str(error)


def of_machine() -> int:
    """Bytes of main memory."""
    return int(psutil.virtual_memory().total)
