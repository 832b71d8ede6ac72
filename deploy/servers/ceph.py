"""A private S3: Ceph's gateway over one monitor and one object server that keeps all in memory."""

import json
import os
import secrets
import subprocess
import uuid
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from deploy.servers.process import Process, ServerError, accepts, free_port, program

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CONFIGURATION = """\
[global]
fsid = {cluster}
mon_host = [v2:127.0.0.1:{monitor}/0]
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
auth_allow_insecure_global_id_reclaim = false
public_network = 127.0.0.0/8
ms_bind_ipv6 = false
ms_bind_msgr1 = false
run_dir = {folder}
admin_socket = {folder}/$name.asok
log_file = {folder}/$name.log
mon_cluster_log_file = {folder}/cluster.log
keyring = {folder}/keyring
mon_data = {folder}/monitor
paxos_propose_interval = 0.02
paxos_min_wait = 0.01
mon_data_avail_warn = 1
mon_data_avail_crit = 0
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
osd_data = {folder}/objects
osd_objectstore = memstore
memstore_device_bytes = {capacity}
osd_crush_chooseleaf_type = 0
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
rgw_data = {folder}/gateway
rgw_frontends = beast endpoint=127.0.0.1:{gateway} {tls}
rgw_thread_pool_size = 32
"""
_KEYS = {
    "mon.": ["mon", "allow *"],
    "client.admin": ["mon", "allow *", "osd", "allow *"],
    "client.gateway": ["mon", "allow rwx", "osd", "allow rwx"],
}


@dataclass(frozen=True, slots=True)
class Credentials:
    access_key: str
    secret_key: str

    def environment(self) -> dict[str, str]:
        """The variables by which AWS clients find these, and nothing of the user's own."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


class Ceph:
    """Runs while the `with` block does. For an outage, stop `gateway` and call `start_gateway`."""

    def __init__(self, folder: Path, capacity: int = 1 << 30) -> None:
        self._folder = folder
        self._monitor_port, self._gateway_port, tls_port = free_port(), free_port(), free_port()
        self.endpoint = f"http://127.0.0.1:{self._gateway_port}"
        self.tls_endpoint = f"https://127.0.0.1:{tls_port}"
        self.certificate = folder / "certificate.pem"
        self._key = folder / "key.pem"
        self.credentials = Credentials("", "")
        self._environment = {
            "CEPH_CONF": str(folder / "ceph.conf"),
            "HOME": str(folder),
            "PATH": os.environ.get("PATH", os.defpath),
        }
        self._cluster = str(uuid.uuid4())
        (folder / "ceph.conf").write_text(
            _CONFIGURATION.format(
                cluster=self._cluster,
                folder=folder,
                monitor=self._monitor_port,
                gateway=self._gateway_port,
                tls=f"ssl_endpoint=127.0.0.1:{tls_port} ssl_certificate={self.certificate}"
                f" ssl_private_key={self._key}",
                capacity=capacity,
            )
        )
        self._monitor = self._process("monitor", "ceph-mon", "-f", "-i", "a")
        self._objects = self._process("objects", "ceph-osd", "-f", "-i", "0")
        self.gateway = self._process("gateway", "radosgw", "-f", "-n", "client.gateway")

    def start(self) -> None:
        """Make the cluster and start it: about ten seconds."""
        try:
            self._start_monitor()
            self._start_objects()
            self._create_user()
            self._certify()
            self.start_gateway()
        except BaseException:
            self.stop()
            raise

    def start_gateway(self) -> None:
        self.gateway.start(lambda: accepts(self._gateway_port))

    def stop(self) -> None:
        self.gateway.stop()
        self._objects.stop()
        self._monitor.stop()

    def create_bucket(self) -> str:
        """Make an empty bucket. Returns its name."""
        name = f"test-{secrets.token_hex(6)}"
        self.client.create_bucket(Bucket=name)
        return name

    @cached_property
    def client(self) -> "S3Client":
        """A plain client of the server, that knows nothing of Spritemill's own store."""
        import boto3  # slow to import, and only S3 needs it
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.credentials.access_key,
            aws_secret_access_key=self.credentials.secret_key,
            config=Config(s3={"addressing_style": "path"}),
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start_monitor(self) -> None:
        keyring, monmap = str(self._folder / "keyring"), str(self._folder / "monmap")
        self._run("ceph-authtool", "--create-keyring", keyring)
        for name, caps in _KEYS.items():
            given = [word for i in range(0, len(caps), 2) for word in ("--cap", *caps[i : i + 2])]
            self._run("ceph-authtool", keyring, "--gen-key", "-n", name, *given)
        address = f"[v2:127.0.0.1:{self._monitor_port}]"
        self._run("monmaptool", "--create", "--fsid", self._cluster, "--addv", "a", address, monmap)
        (self._folder / "monitor").mkdir()
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring)
        self._monitor.start(lambda: accepts(self._monitor_port))

    def _start_objects(self) -> None:
        identity, key = str(uuid.uuid4()), self._run("ceph-authtool", "--gen-print-key").strip()
        with (self._folder / "keyring").open("a") as keyring:
            keyring.write(f"[osd.0]\n\tkey = {key}\n")
        secret = self._folder / "objects.json"
        secret.write_text(json.dumps({"cephx_secret": key}))
        self._run("ceph", "osd", "new", identity, "-i", str(secret))
        (self._folder / "objects").mkdir()
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", identity)
        self._objects.start(lambda: '"num_up_osds":1' in self._run("ceph", "osd", "stat", "-fjson"))

    def _create_user(self) -> None:
        name = ["--uid=spritemill", "--display-name=Spritemill"]
        made = json.loads(self._run("radosgw-admin", "user", "create", *name))["keys"][0]
        self.credentials = Credentials(made["access_key"], made["secret_key"])

    def _certify(self) -> None:
        files = ["-keyout", str(self._key), "-out", str(self.certificate)]
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
        self._run("openssl", "req", "-x509", *kind, *name, *files)

    def _process(self, name: str, command: str, *arguments: str) -> Process:
        log = self._folder / f"{name}.out"
        return Process([program(command), *arguments], log, environment=self._environment)

    def _run(self, name: str, *arguments: str) -> str:
        done = subprocess.run(
            [program(name), *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if done.returncode:
            raise ServerError(f"{name} failed: {done.stderr.strip()}")
        return done.stdout
