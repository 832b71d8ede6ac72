"""Where datasets are kept: one contract, kept by memory, a local folder and S3."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from core.errors import Fault, RequestError, StoreError, UnreachableError
from core.settings import Settings, hide_password
from core.storage.keys import is_key
from core.storage.store import ObjectInfo, Store

__all__ = ["ObjectInfo", "Store", "connect", "prove"]

_BUCKET = re.compile(r"[^/@\[\]?#]+")


def connect(settings: Settings) -> Store:
    """The store that the settings name; nothing is reached yet (`check` does that).

    Raises RequestError for a URL that cannot be one.
    """
    if not settings.store.startswith("s3://"):
        from core.storage.folder import FolderStore

        return FolderStore(Path(settings.store))
    from core.storage.s3 import S3Store  # boto3 is slow to import, and only S3 needs it

    endpoint = settings.s3_endpoint
    bucket, _, path = settings.store.removeprefix("s3://").partition("/")
    prefix = path.strip("/")
    shown = hide_password(settings.store)
    faults = []
    if not _BUCKET.fullmatch(bucket):
        faults.append(Fault("store_url", shown, "it names no bucket", "Such as: s3://sprites/mill"))
    if prefix and not is_key(prefix):
        faults.append(Fault("store_url", shown, "what follows the bucket is no key"))
    if endpoint and not _is_address(endpoint):
        problem = "it must be http:// or https://, and a host of letters, digits, - and ."
        faults.append(Fault("s3_endpoint", hide_password(endpoint), problem))
    if faults:
        raise RequestError(faults)
    return S3Store(bucket, prefix, endpoint=endpoint or None, region=settings.s3_region)


def prove(settings: Settings) -> None:
    """Write, read and delete an object of the store. Raises UnreachableError when that fails."""
    try:
        connect(settings).check()
    except StoreError as error:
        raise UnreachableError(
            f"store_url = {hide_password(settings.store)}: {error.message}",
            remedy=error.remedy or "Set store_url to a place where this user may write.",
        ) from error


def _is_address(endpoint: str) -> bool:
    """Whether boto3 takes it for the address of a server."""
    from botocore.utils import is_valid_endpoint_url, is_valid_ipv6_endpoint_url

    try:
        port = urlsplit(endpoint).port
        valid = is_valid_endpoint_url(endpoint) or is_valid_ipv6_endpoint_url(endpoint)
    except ValueError:  # a port that is no number, a bracket that is not closed
        return False
    return bool(valid) and port != 0 and endpoint.startswith(("http://", "https://"))
