"""Make the bucket that `store_url` names, once the store answers: for stores that begin empty.

Address and credentials are those of Spritemill's settings. A bucket that is there stays. On AWS
outside us-east-1, make it yourself.
"""

import sys
import time
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    HTTPClientError,
)

from core import settings as configuration
from core.errors import SpritemillError

_PATIENCE = 120.0
_SERVER_ERROR = 500


def make(settings: configuration.Settings) -> str:
    """The bucket's name. Raises what the store said, if it is not there in time."""
    name = urlsplit(settings.store_url).netloc
    client = boto3.client(
        "s3", endpoint_url=settings.s3_endpoint or None, region_name=settings.s3_region
    )
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            client.create_bucket(Bucket=name)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] < _SERVER_ERROR:
                client.head_bucket(Bucket=name)  # ours, and there already, or no retry helps
                return name
            if time.monotonic() > until:
                raise
        except (EndpointConnectionError, ConnectionClosedError, HTTPClientError):
            if time.monotonic() > until:
                raise
        else:
            return name
        time.sleep(1.0)


if __name__ == "__main__":
    try:
        sys.stdout.write(f"The bucket {make(configuration.load())} is there.\n")
    except (ClientError, BotoCoreError, SpritemillError) as error:
        sys.exit(f"The bucket cannot be made: {error}")
