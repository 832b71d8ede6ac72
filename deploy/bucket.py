"""Make the bucket that `store_url` names, once the store answers: for stores that begin empty.

Address, region and credentials are those of Spritemill's settings. A bucket that is there stays.
"""

import sys
import time
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from core import settings as configuration

_PATIENCE = 120.0
_THERE = ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")


def make(settings: configuration.Settings) -> str:
    """The bucket's name. Raises what the store said last, when it has not made one in time."""
    name = urlsplit(settings.store_url).netloc
    client = boto3.client(
        "s3", endpoint_url=settings.s3_endpoint or None, region_name=settings.s3_region
    )
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            client.create_bucket(Bucket=name)
        except ClientError as error:
            if error.response["Error"]["Code"] in _THERE:
                return name
            if time.monotonic() > until:
                raise
        except BotoCoreError:
            if time.monotonic() > until:
                raise
        else:
            return name
        time.sleep(1.0)


if __name__ == "__main__":
    sys.stdout.write(f"The bucket {make(configuration.load())} is there.\n")
