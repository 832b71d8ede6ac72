"""What the errors of an S3 store mean, and what to do about them. No message holds a secret."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.exceptions import SSLError as TlsError
from s3transfer.exceptions import RetriesExceededError

from core.errors import NotFoundError, SpritemillError, StoreError, UnreachableError, UsageError
from core.settings import hide_password

_NOT_FOUND = {"404", "NoSuchKey", "NotFound"}
_NO_CREDENTIALS = (
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)
_NO_ANSWER = (HTTPClientError, IncompleteReadError, NoConnectionError, RetriesExceededError)
_ELSEWHERE = {"301", "AuthorizationHeaderMalformed", "PermanentRedirect"}
_FULL = {"507", "InsufficientStorage", "QuotaExceeded"}
_CERTIFICATE = "Set AWS_CA_BUNDLE to the certificate that vouches for the server."
_CREDENTIALS = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."


@dataclass(frozen=True, slots=True)
class Place:
    """Which store the errors are about."""

    url: str
    endpoint: str | None

    @contextmanager
    def errors(self, key: str = "") -> Iterator[None]:
        """Turns boto3's errors into ours."""
        try:
            yield
        except (BotoCoreError, ClientError, RetriesExceededError) as error:
            raise self._translate(error, key) from error

    def _translate(self, error: Exception, key: str) -> SpritemillError:
        if isinstance(error, ClientError):
            return self._refusal(error, key)
        if isinstance(error, _NO_CREDENTIALS):
            return UnreachableError(
                f"store_url = {self.url}: there are no usable AWS credentials.", remedy=_CREDENTIALS
            )
        if isinstance(error, _NO_ANSWER):
            where = hide_password(self.endpoint) if self.endpoint else "AWS"
            return UnreachableError(
                f"s3_endpoint = {where}: the store does not answer ({type(error).__name__}).",
                remedy=_CERTIFICATE
                if isinstance(error, TlsError)
                else "Check the address, the network, and that the server runs.",
            )
        if isinstance(error, ParamValidationError):
            return UsageError(f"store_url = {self.url}: it cannot name a bucket.")
        return StoreError(f"store_url = {self.url}: {type(error).__name__}.")

    def _refusal(self, error: ClientError, key: str) -> SpritemillError:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _NOT_FOUND:
            return NotFoundError(f"There is no object {key} in {self.url}.")
        if code == "NoSuchBucket":
            return self._unreachable("there is no such bucket", "Create it, or correct the URL.")
        if code in _ELSEWHERE:
            return self._unreachable("its bucket is in another region", "Correct s3_region.")
        if code in _FULL:
            return StoreError(f"store full: {key} could not be written ({code}).")
        if code == "RequestTimeTooSkewed":
            return self._unreachable("this machine's clock is not the store's", "Set the clock.")
        if status in (401, 403):
            return self._unreachable(
                f"the store refused our credentials ({code})",
                f"{_CREDENTIALS} They must be allowed to list, read, write and delete there.",
            )
        if status >= 500:
            return self._unreachable(f"the store is out of order ({code})", "Try again.")
        return StoreError(f"store_url = {self.url}: {key or 'the request'} was refused ({code}).")

    def _unreachable(self, problem: str, remedy: str) -> UnreachableError:
        return UnreachableError(f"store_url = {self.url}: {problem}.", remedy=remedy)
