"""An S3 server in a process of its own, which lets in whom it knows: moto."""

from __future__ import annotations

import re
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from hub.testing.install import SERVICES
from hub.testing.processes import Process, free_port, running
from hub.testing.services import Missing

START_S = 120
BUCKET = "hours"
POLICY = (
    '{"Version": "2012-10-17",'
    ' "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'
)
# Whoever asks before the first user is made is not asked who they are.
UNASKED = 4
# Only its last word but one is read: for which of the services.
ANYBODY = (
    "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/iam/aws4_request,"
    " SignedHeaders=host, Signature=0"
)


@dataclass(frozen=True, slots=True)
class Bucket:
    """An empty bucket, and the credentials of the one who may use it."""

    process: Process
    port: int
    key: str
    secret: str

    @property
    def url(self) -> str:
        where = f"endpoint_override=127.0.0.1:{self.port}&scheme=http&region=us-east-1"
        return f"s3://{BUCKET}/site?{where}"


@contextmanager
def bucket(folder: Path) -> Iterator[Bucket]:
    tree, port = SERVICES / "s3", free_port()
    if not (tree / "recipe").is_file():
        raise Missing(f"s3 is not in {SERVICES}: run `make services` first.")
    with running(
        *("setpriv", "--pdeathsig", "TERM", "--", sys.executable, "-m", "moto.server"),
        *("-H", "127.0.0.1", "-p", str(port)),
        log=folder / "s3.log",
        env={"PYTHONPATH": str(tree), "INITIAL_NO_AUTH_ACTION_COUNT": str(UNASKED)},
        cwd=folder,
    ) as process:
        process.wait_for_port(port, within_s=START_S)
        address = f"http://127.0.0.1:{port}/"
        _ask(urllib.request.Request(address + BUCKET, method="PUT"))
        user = {"UserName": "hub"}
        _iam(address, Action="CreateUser", **user)
        _iam(
            address,
            Action="PutUserPolicy",
            PolicyName="all",
            PolicyDocument=POLICY,
            **user,
        )
        made = _iam(address, Action="CreateAccessKey", **user)
        [key] = re.findall("<AccessKeyId>(.*?)<", made)
        [secret] = re.findall("<SecretAccessKey>(.*?)<", made)
        yield Bucket(process, port, key, secret)


def _iam(address: str, **form: str) -> str:
    body = urlencode({"Version": "2010-05-08", **form}).encode()
    return _ask(urllib.request.Request(address, body, {"Authorization": ANYBODY}))


def _ask(request: urllib.request.Request) -> str:
    with urllib.request.urlopen(request, timeout=START_S) as answer:
        return str(answer.read().decode())
