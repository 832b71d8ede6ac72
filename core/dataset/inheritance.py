"""What a dataset takes over from the one that it extends: its shards, and their index."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from core.dataset.layout import content_type, dataset_prefix
from core.dataset.manifest import Ancestor, ShardFile
from core.dataset.shard import part_of
from core.dataset.source import StoreSource, read_manifest, read_whole
from core.errors import ConflictError, CorruptError, NotFoundError
from core.request.plan import Plan
from core.request.spec import Parent
from core.storage import Store

if TYPE_CHECKING:
    import pyarrow as pa


class Inheritance:
    """A parent's dataset, in the store where the child's is made.

    Raises ConflictError when it is not there, or is another one now.
    """

    def __init__(self, store: Store, parent: Parent) -> None:
        self._store = store
        self._source = StoreSource(store, parent.job)
        try:
            self.manifest = read_manifest(self._source)
        except NotFoundError:
            raise ConflictError(
                f"parent = {parent.job}: its dataset is not in the store any more.",
                remedy="Put it back, or ask for all of it in a request without a parent.",
            ) from None
        if self.manifest.dataset_digest != parent.digest:
            raise ConflictError(
                f"parent = {parent.job}: its digest is {self.manifest.dataset_digest}, "
                f"not {parent.digest}.",
                remedy="Extend the dataset that is there now.",
            )

    @property
    def ancestors(self) -> tuple[Ancestor, ...]:
        """The parent's own ancestors, then the parent."""
        parent = self.manifest
        last = Ancestor(
            job=parent.job,
            digest=parent.dataset_digest,
            samples=parent.samples,
            shards=len(parent.shards),
            numerics=parent.numerics,
        )
        return (*parent.ancestors, last)

    def copied(self, job: str, made: Plan) -> "Iterator[tuple[ShardFile, pa.Table]]":
        """Copy shard after shard to a job, each with its part of the index. Raises CorruptError."""
        for shard in self.manifest.shards:
            try:
                data = read_whole(self._source, shard.name, shard.sha256)
            except CorruptError as error:
                raise CorruptError(
                    f"parent = {self.manifest.job}: {error.message}",
                    remedy=f"First: spritemill repair {self.manifest.job}",
                ) from None
            self._store.put(
                dataset_prefix(job) + shard.name, data, content_type=content_type(shard.name)
            )
            yield shard, part_of(data, made)
