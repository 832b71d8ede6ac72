"""Start all three servers; then run a command against them, or wait for Ctrl-C.

`python -m deploy.servers` prints the settings as shell exports and waits;
`python -m deploy.servers COMMAND ...` runs the command with these settings in its environment.
"""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.servers import Ceph, Postgres, Redis, ServerError


def main(command: Sequence[str]) -> int:
    """Returns the command's exit status, 0 without one."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with ExitStack() as running:
            return _use(_start(running), command)
    except ServerError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    except KeyboardInterrupt:
        return 130 if command else 0


def _start(running: ExitStack) -> Mapping[str, str]:
    def folder() -> Path:
        return Path(running.enter_context(TemporaryDirectory(prefix="spritemill-server-")))

    redis = running.enter_context(Redis(folder()))
    postgres = running.enter_context(Postgres(folder()))
    ceph = running.enter_context(Ceph(folder()))
    return {
        "SPRITEMILL_BROKER_URL": redis.url,
        "SPRITEMILL_DATABASE_URL": postgres.create_database(),
        "SPRITEMILL_STORE_URL": f"s3://{ceph.create_bucket()}/mill",
        "SPRITEMILL_S3_ENDPOINT": ceph.endpoint,
        **ceph.credentials.environment(),
    }


def _use(settings: Mapping[str, str], command: Sequence[str]) -> int:
    if command:
        return _run(command, {**os.environ, **settings})
    for name, value in settings.items():
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
    sys.stdout.flush()
    while True:
        signal.pause()


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    with subprocess.Popen(command, env=environment) as process:
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal tells the command itself
        return process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
