"""Where datasets are kept: one contract, kept by memory, a local folder and S3."""

from pathlib import Path
from urllib.parse import urlsplit

from core.errors import Fault, RequestError
from core.settings import Settings
from core.storage.keys import is_key
from core.storage.store import ObjectInfo, Store

__all__ = ["ObjectInfo", "Store", "connect"]


def connect(settings: Settings) -> Store:
    """The store that the settings name; nothing is reached yet (`check` does that).

    Raises RequestError for a URL that cannot be one.
    """
    if not settings.store.startswith("s3://"):
        from core.storage.folder import FolderStore

        return FolderStore(Path(settings.store))
    from core.storage.s3 import S3Store  # boto3 is slow to import, and only S3 needs it

    url = urlsplit(settings.store)
    endpoint = settings.s3_endpoint
    prefix = url.path.strip("/")
    faults = []
    if not url.netloc:
        faults.append(Fault("store_url", settings.store, "it names no bucket"))
    if prefix and not is_key(prefix):
        faults.append(Fault("store_url", settings.store, "what follows the bucket is no key"))
    if endpoint and not (
        endpoint.startswith(("http://", "https://")) and urlsplit(endpoint).netloc
    ):
        faults.append(Fault("s3_endpoint", endpoint, "it must begin with http:// or https://"))
    if faults:
        raise RequestError(faults)
    return S3Store(url.netloc, prefix, endpoint=endpoint or None, region=settings.s3_region)
