"""What the machine proves itself with, kept on disk for its own user alone.

<state folder>/credential.json    0600
"""

from __future__ import annotations

import base64
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from sysmonstm_agent import private_file

FILE = "credential.json"
# What an agent that is being enrolled chose, until the hub has answered.
PENDING_FILE = "enrolling.json"
PREFIX = "sma_"
SECRET = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}")
# Two certificates, a key and some names are far below.
MAX_BYTES = 64 * 1024


class CredentialRefused(Exception):
    """A sentence for people: the file must not, or cannot, be used."""


@dataclass(frozen=True, slots=True)
class Credential:
    # host:port
    hub: str
    tls: bool
    machine_id: str
    # Never shown wherever a credential is.
    secret: str = field(repr=False)
    # Whether the person who enrolled it let it be plain text to another machine.
    plaintext: bool = False
    # What is to replace it, kept before the hub is asked; "" = nothing.
    next: str = field(default="", repr=False)
    # When the secret was made, Unix seconds.
    made: float = 0.0
    # PEM of the only authority that the hub may be vouched for by; "" = the
    # public ones.
    ca: str = ""
    # The hub's pages, "" = not known.
    web: str = ""
    # For mutual TLS, PEM: what was asked for, what was given, and its key.
    request: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)
    # A mark of the token it was enrolled with.
    token: str = ""


def new_secret() -> str:
    return PREFIX + base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=")


def binary(text: str) -> bytes:
    """Return what is kept as base64."""
    return base64.b64decode(text)


def load(folder: Path, name: str = FILE) -> Credential | None:
    """Return what is kept there, None = nothing. Raises CredentialRefused."""
    content = read_private(folder / name)
    if content is None:
        return None
    known = {field.name: field for field in fields(Credential)}
    try:
        found = Credential(**{k: v for k, v in content.items() if k in known})
    except TypeError:
        found = None
    if found is None or not whole(found):
        raise CredentialRefused(
            f"{folder / name} does not hold a whole credential; remove it, and"
            " enrol this machine again: sysmonstm-agent enrol."
        )
    return found


def whole(found: Credential) -> bool:
    wanted: dict[str, type | tuple[type, ...]] = {"bool": bool, "float": (int, float)}
    kinds = [
        (getattr(found, f.name), wanted.get(str(f.type), str)) for f in fields(found)
    ]
    return all(isinstance(value, kind) for value, kind in kinds) and all(
        SECRET.fullmatch(secret)
        for secret in (found.secret, found.next or found.secret)
    )


def store(folder: Path, credential: Credential, name: str = FILE) -> None:
    """Returns once it lasts. Raises OSError where the disk does not take it."""
    write_private(folder / name, asdict(credential))


def read_private(path: Path) -> dict[str, Any] | None:
    """Return a file of ours that holds a secret, None = there is none."""
    try:
        with opened(path) as descriptor:
            found = os.fstat(descriptor)
            check(path, found)
            if stat.S_IMODE(found.st_mode) & 0o077:
                with suppress(OSError):  # a disk that is read-only
                    os.fchmod(descriptor, 0o600)
            text = os.read(descriptor, MAX_BYTES)
        content = json.loads(text)
        if not isinstance(content, dict):
            raise ValueError
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CredentialRefused(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise CredentialRefused(
            f"{path} is damaged; remove it, and enrol this machine again."
        ) from None
    return content


def check(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise CredentialRefused(f"{path} must be a file.")
    # Root looks at the credential of the service's user, who may not be root.
    if os.geteuid() not in (0, found.st_uid):
        raise CredentialRefused(
            f"{path} belongs to another user (id {found.st_uid}); run the command as"
            " that user, or as root."
        )


@contextmanager
def opened(path: Path) -> Iterator[int]:
    try:
        # Not blocking, since somebody may have put a pipe there.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(path, flags)
    except OSError:
        if path.is_symlink():
            raise CredentialRefused(
                f"{path} is a symbolic link, and a credential follows none."
            ) from None
        raise
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def write_private(path: Path, content: dict[str, Any]) -> None:
    """Replace the file, whole or not at all."""
    prepare(path.parent)
    private_file.replace(path, (json.dumps(content, indent=1) + "\n").encode())


def prepare(folder: Path) -> None:
    """Make the folder, 0700, unless it is there. Raises CredentialRefused."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = os.stat(folder)
    if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        raise CredentialRefused(f"other users may write in {folder}.")
    if os.geteuid() not in (0, found.st_uid):
        raise CredentialRefused(
            f"{folder} belongs to another user (id {found.st_uid})."
        )


def remove(path: Path) -> None:
    """Remove a file that held a secret, and a half-written one beside it."""
    for place in (path, private_file.part_of(path)):
        place.unlink(missing_ok=True)
