"""A store in this process's memory, for tests and for trying things out."""

import base64
import io
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from core.errors import NotFoundError
from core.storage.files import disk_errors, whole_file
from core.storage.keys import check_key, check_prefix
from core.storage.store import ObjectInfo


class MemoryStore:
    """Gone with the process. Safe for threads: every change is one operation on a dict."""

    def __init__(self) -> None:
        self._objects: dict[str, tuple[ObjectInfo, bytes]] = {}

    def put(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str = "application/octet-stream",  # noqa: ARG002  # nothing to keep it in
    ) -> ObjectInfo:
        info = ObjectInfo(check_key(key), len(data), sha256(data).hexdigest(), time.time())
        self._objects[key] = (info, bytes(data))
        return info

    def put_file(
        self, key: str, path: Path, *, content_type: str = "application/octet-stream"
    ) -> ObjectInfo:
        with disk_errors(str(path)):
            data = path.read_bytes()
        return self.put(key, data, content_type=content_type)

    def get(self, key: str) -> bytes:
        try:
            return self._objects[check_key(key)][1]
        except KeyError:
            raise NotFoundError(f"There is no object {key}.") from None

    def get_file(self, key: str, path: Path) -> None:
        data = self.get(key)
        with disk_errors(str(path)), whole_file(path) as file:
            file.write(data)

    def open(self, key: str) -> BinaryIO:
        return io.BytesIO(self.get(key))

    def head(self, key: str) -> ObjectInfo | None:
        found = self._objects.get(check_key(key))
        return found[0] if found else None

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        infos = [info for info, _ in self._objects.copy().values() if info.key.startswith(prefix)]
        return iter(sorted(infos, key=lambda info: info.key))

    def delete(self, key: str) -> None:
        self._objects.pop(check_key(key), None)

    def unfinished(self, before: float, *, remove: bool = False) -> Iterator[ObjectInfo]:  # noqa: ARG002  # nothing is ever half-written
        return iter(())

    def url(self, key: str, seconds: int = 3600) -> str:  # noqa: ARG002  # it never expires
        encoded = base64.b64encode(self.get(key)).decode()
        return f"data:application/octet-stream;base64,{encoded}"

    def check(self) -> None:
        """Nothing can be wrong with memory."""
