"""Models by the hash of their weights: on disk once a machine, in memory while they are used."""

import re
from collections import OrderedDict
from pathlib import Path

from core import weights
from core.errors import ModelError, NotFoundError
from core.settings import Settings
from core.storage import Store
from core.weights.spec import ModelSpec
from workers.render import Renderer

_WARM = 2
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ModelCache:
    """What one child process has found and loaded."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._files: dict[str, Path] = {}
        self._warm: OrderedDict[str, Renderer] = OrderedDict()

    def spec(self, sha256: str) -> ModelSpec:
        return weights.read_spec(self.file(sha256))

    def renderer(self, sha256: str) -> Renderer:
        """Load weights, or find them warm. Raises ModelError, UnreachableError."""
        if sha256 not in self._warm:
            if len(self._warm) == _WARM:
                self._warm.popitem(last=False)
            self._warm[sha256] = self._load(sha256)
        self._warm.move_to_end(sha256)
        return self._warm[sha256]

    def _load(self, sha256: str) -> Renderer:
        if self._settings.renderer == "fake":
            from workers.fake_renderer import FakeRenderer

            return FakeRenderer(self.spec(sha256).size, self._settings.fake_rate)
        from workers import renderer

        return renderer.load(self.file(sha256), self._settings)

    def file(self, sha256: str) -> Path:
        """The weights' file with its hash proved, once in the life of this process."""
        if sha256 not in self._files:
            self._files[sha256] = self._found(sha256)
        return self._files[sha256]

    def _found(self, sha256: str) -> Path:
        if not _SHA256.fullmatch(sha256):
            raise ModelError(f"weights = {sha256!r} is no SHA-256 of 64 hex digits.")
        bundled = weights.bundled()
        cached = self._settings.home / "cache" / f"{sha256}.safetensors"
        for path in (bundled, cached):
            if path.is_file() and weights.sha256(path) == sha256:
                return path
        try:
            self._store.get_file(f"models/{sha256}.safetensors", cached)
        except NotFoundError as error:
            raise ModelError(
                f"weights = {sha256}: neither this version nor the store has them.",
                remedy="Submit the request again, for the weights that are here.",
            ) from error
        if (got := weights.sha256(cached)) != sha256:
            cached.unlink(missing_ok=True)
            raise ModelError(
                f"the store's weights {sha256[:16]} have the hash {got[:16]}.",
                remedy="Register the model again.",
            )
        return cached
