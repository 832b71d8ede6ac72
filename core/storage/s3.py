"""A store in an S3 bucket: AWS, or any server that speaks its protocol."""

import base64
import io
import os
import secrets
from collections.abc import Iterator
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from core.errors import NotFoundError, StoreError
from core.storage.files import disk_errors, whole_file
from core.storage.keys import check_key, check_prefix, is_key
from core.storage.s3_errors import Place
from core.storage.store import ObjectInfo

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_LARGE = 64 << 20
_BINARY = "application/octet-stream"


class S3Store:
    """Objects under `prefix` of a bucket; credentials come from the usual AWS sources.

    Every process makes a client of its own, so that a store may be carried across a fork. Objects
    of `large` bytes or more travel in parts of that size; `page` keys are listed per request.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        endpoint: str | None = None,
        region: str = "us-east-1",
        large: int = _LARGE,
        page: int = 1000,
    ) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._endpoint = endpoint
        self._region = region
        self._place = Place(f"s3://{bucket}/{prefix}", endpoint)
        self._transfer = TransferConfig(
            multipart_threshold=large, multipart_chunksize=large, max_concurrency=4
        )
        self._page = page
        self._made: tuple[int, S3Client] | None = None

    def put(self, key: str, data: bytes, *, content_type: str = _BINARY) -> ObjectInfo:
        digest = sha256(data)
        with self._place.errors(key):
            self._client().put_object(
                **self._at(key),
                Body=data,
                ContentType=content_type,
                Metadata={"sha256": digest.hexdigest()},
                ChecksumSHA256=base64.b64encode(digest.digest()).decode(),
            )
        return self._arrived(key, len(data), digest.hexdigest())

    def put_file(self, key: str, path: Path, *, content_type: str = _BINARY) -> ObjectInfo:
        with disk_errors(str(path)), path.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            with self._place.errors(key):
                self._client().upload_fileobj(
                    file,
                    **self._at(key),
                    ExtraArgs={"ContentType": content_type, "Metadata": {"sha256": digest}},
                    Config=self._transfer,
                )
        return self._arrived(key, size, digest)

    def get(self, key: str) -> bytes:
        with self.open(key) as stream:
            return stream.read()

    def get_file(self, key: str, path: Path) -> None:
        place = self._at(key)
        with disk_errors(str(path)), whole_file(path) as file, self._place.errors(key):
            self._client().download_fileobj(**place, Fileobj=file, Config=self._transfer)

    def open(self, key: str) -> BinaryIO:
        with self._place.errors(key):
            body = self._client().get_object(**self._at(key))["Body"]
        return io.BufferedReader(_Stream(body, self._place, key), buffer_size=1 << 20)

    def head(self, key: str) -> ObjectInfo | None:
        try:
            with self._place.errors(key):
                found = self._client().head_object(**self._at(key))
        except NotFoundError:
            return None
        return ObjectInfo(
            key,
            found["ContentLength"],
            found["Metadata"].get("sha256"),
            found["LastModified"].timestamp(),
        )

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        pages = (
            self._client()
            .get_paginator("list_objects_v2")
            .paginate(
                Bucket=self._bucket,
                Prefix=self._prefix + check_prefix(prefix),
                PaginationConfig={"PageSize": self._page},
            )
        )
        return self._listed(iter(pages))

    def delete(self, key: str) -> None:
        with self._place.errors(key):
            self._client().delete_object(**self._at(key))

    def unfinished(self, before: float, *, remove: bool = False) -> Iterator[ObjectInfo]:
        client = self._client()
        uploads = client.get_paginator("list_multipart_uploads")
        with self._place.errors():
            for page in uploads.paginate(Bucket=self._bucket, Prefix=self._prefix):
                for upload in page.get("Uploads", []):
                    begun = upload["Initiated"].timestamp()
                    if begun < before:
                        size = self._end_upload(upload["Key"], upload["UploadId"], remove)
                        key = upload["Key"].removeprefix(self._prefix)
                        yield ObjectInfo(key, size, None, begun)

    def url(self, key: str, seconds: int = 3600) -> str:
        with self._place.errors(key):
            return self._client().generate_presigned_url(
                "get_object", Params=self._at(key), ExpiresIn=seconds
            )

    def check(self) -> None:
        key, data = f"check-{secrets.token_hex(8)}", secrets.token_bytes(64)
        self.put(key, data)
        if self.get(key) != data:
            raise StoreError(f"{self._place.url}: what was written reads back differently.")
        self.delete(key)
        next(self.list("check-"), None)

    def _at(self, key: str) -> Any:
        return {"Bucket": self._bucket, "Key": self._prefix + check_key(key)}

    def _arrived(self, key: str, size: int, digest: str) -> ObjectInfo:
        """What the store says that it holds now. Its hash of every body was signed with it."""
        found = self.head(key)
        if found is None or (found.size, found.sha256) != (size, digest):
            raise StoreError(f"{key} did not arrive whole in {self._place.url}: found {found}.")
        return found

    def _end_upload(self, key: str, upload: str, remove: bool) -> int:
        """The bytes that an unfinished upload holds, or held before it was removed."""
        told: Any = {"Bucket": self._bucket, "Key": key, "UploadId": upload}
        pages = self._client().get_paginator("list_parts").paginate(**told)
        size = sum(part["Size"] for page in pages for part in page.get("Parts", []))
        if remove:
            self._client().abort_multipart_upload(**told)
        return size

    def _listed(self, pages: Iterator[Any]) -> Iterator[ObjectInfo]:
        while True:
            with self._place.errors():
                page = next(pages, None)
            if page is None:
                return
            for found in page.get("Contents", []):
                key = found["Key"].removeprefix(self._prefix)
                if is_key(key):
                    modified = found["LastModified"].timestamp()
                    yield ObjectInfo(key, found["Size"], None, modified)

    def _client(self) -> "S3Client":
        if self._made is None or self._made[0] != os.getpid():
            self._made = (os.getpid(), self._make_client())
        return self._made[1]

    def _make_client(self) -> "S3Client":
        with self._place.errors():
            return boto3.session.Session().client(
                "s3",
                endpoint_url=self._endpoint,
                region_name=self._region,
                config=Config(
                    signature_version="s3v4",
                    connect_timeout=5,
                    read_timeout=60,
                    retries={"mode": "standard", "total_max_attempts": 3},
                    tcp_keepalive=True,
                    # Old gateways choke on checksums in trailers; the signature covers every body.
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                    s3={
                        "addressing_style": "path" if self._endpoint else "auto",
                        "payload_signing_enabled": True,
                    },
                ),
            )


class _Stream(io.RawIOBase):
    """The body of an answer, whose interruptions are errors of ours."""

    def __init__(self, body: Any, place: Place, key: str) -> None:
        self._body = body
        self._place = place
        self._key = key

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with self._place.errors(self._key):
            data = self._body.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._body.close()
        super().close()
