"""Real servers of our own for tests and the local cluster: Redis, PostgreSQL and S3 (Ceph).

Each one is private (a loopback port, a folder and a password of its own) and ends with us.
"""

from deploy.servers.ceph import Ceph
from deploy.servers.postgres import Postgres
from deploy.servers.process import MissingServerError, ServerError
from deploy.servers.redis import Redis

__all__ = ["Ceph", "MissingServerError", "Postgres", "Redis", "ServerError"]
