"""Command lines without their secrets.

Errs on the side of hiding: a name that speaks of a secret hides its value, and so
does a value that looks like nothing a person would type. What was hidden reads ***.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MASK = "***"

# Words within the name of a flag, a variable or a parameter.
SECRETS = frozenset(
    (
        *("pass", "password", "passwd", "passphrase", "passwort", "pwd", "pw"),
        *("secret", "secrets", "token", "apikey", "auth", "authorization"),
        *("credential", "credentials", "creds", "cookie", "cookies", "jwt"),
        *("bearer", "sig", "signature", "psk", "otp", "dsn", "userpass"),
    )
)
# "key" alone may be the name of a file; "sort-key" is no secret.
KEYS = frozenset(
    (
        *("api", "access", "private", "secret", "encryption", "account", "master"),
        *("license", "signing", "shared", "app", "service", "client", "auth"),
    )
)
WITHIN = re.compile(r"password|passwd|passphrase|secret|apikey|accesskey|privatekey")
# "--password-file /etc/secret" says where, not what.
HARMLESS = frozenset(
    (
        *("file", "files", "filename", "path", "dir", "directory", "type", "mode"),
        *("method", "length", "ttl", "expiry", "timeout", "max", "min", "limit"),
        *("enabled", "required", "policy", "prompt", "stdin", "store"),
    )
)
WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

# NAME=value and "name": value, wherever they stand. Bounded: a name without end must
# not be looked at from each of its letters.
PAIR = re.compile(
    r"""(?P<name>[A-Za-z][\w.-]{0,100})(?P<is>["']?\s?[=:]\s?["']?)(?!//)"""
    r"""(?P<value>[^\s&"',;]+)"""
)
HEADER = re.compile(r"(?i)\b(authorization|cookie|set-cookie)(\s*[:=]\s*).+")
BEARER = re.compile(r"(?i)\b(bearer|basic|digest)(\s+)[\w.~+/=:-]{6,}")
URL = re.compile(
    r"""(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?P<user>[^\s/:@"']*):(?P<pass>[^\s"']*)@"""
    r"""(?=[^\s@]*)""",
    re.IGNORECASE,
)
URL_USER = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^\s/:@]{16,}@", re.IGNORECASE
)
# What well-known services give out.
TOKENS = re.compile(
    r"\b(?:gh[a-z]_|github_pat_|glpat-|xox[a-z]-|sk[-_]|pk_|rk_|smt_|npm_|hf_|dop_v1_)"
    r"[\w-]{8,}|\b(?:AKIA|ASIA)[0-9A-Z]{12,}|\beyJ[\w-]{6,}(?:\.[\w-]*)*"
    r"|-----BEGIN.*"
)
UUID = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")
RUN = re.compile(r"[A-Za-z0-9+/=_-]{20,}")
# Letters and digits mixed for so long are no word, and no version of one.
RANDOM = re.compile(r"(?=[A-Za-z0-9+]*\d)(?=[A-Za-z0-9+]*[A-Za-z])[A-Za-z0-9+]{16,}=*")

# Short flags that take a secret, by program; as "-p secret" and as "-psecret".
SHORT = {
    "mysql": "-p",
    "mysqldump": "-p",
    "mysqladmin": "-p",
    "mysqlimport": "-p",
    "mariadb": "-p",
    "mariadb-dump": "-p",
    "mariadb-admin": "-p",
    "mongo": "-p",
    "mongosh": "-p",
    "mongodump": "-p",
    "mongorestore": "-p",
    "sshpass": "-p",
    "7z": "-p",
    "7za": "-p",
    "redis-cli": "-a",
    "sqlcmd": "-P",
    "zip": "-P",
    "unzip": "-P",
    "mosquitto_pub": "-P",
    "mosquitto_sub": "-P",
    "ldapsearch": "-w",
    "ldapmodify": "-w",
    "ldapadd": "-w",
}
# Of these "-p" alone asks for it, and what follows is something else.
ASKS = frozenset(("mysql", "mysqldump", "mysqladmin", "mysqlimport"))
ASKS |= {"mariadb", "mariadb-dump", "mariadb-admin"}
USERS = frozenset(("-u", "--user", "-U", "--proxy-user", "--proxy-auth", "--auth"))


def mask(arguments: Sequence[str]) -> str:
    """Return a command line for people, its secrets replaced by ***."""
    if len(arguments) == 1 and " " in arguments[0].strip():
        # A program that writes its own title makes one text of it.
        arguments = arguments[0].split()
    if not arguments:
        return ""
    short = SHORT.get(program(arguments[0]), "")
    if "login" in arguments[1:3]:
        # "docker login -p"; of other commands -p is a port.
        short = short or "-p"
    asks = program(arguments[0]) in ASKS
    said, before = [_path(arguments[0])], ""
    for argument in arguments[1:]:
        if before and not argument.startswith("--"):
            said.append(_value(before, argument))
            before = ""
            continue
        before = ""
        if short and argument.startswith(short) and not argument.startswith("--"):
            if len(argument) > len(short):
                said.append(f"{short}{MASK}")
                continue
            before = "" if asks else "-password"
        elif argument in USERS or (_is_flag(argument) and _hides(argument)):
            before = argument
        said.append(_path(argument))
    return " ".join(said)


def program(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(":")


def _value(flag: str, value: str) -> str:
    """Return what follows a flag in an argument of its own."""
    if flag in USERS and flag != "--auth":
        user, colon, rest = (
            re.split("([:%])", value, maxsplit=1)
            if re.search("[:%]", value)
            else (value, "", "")
        )
        # "-u 1000:1000" is a user and a group.
        if not colon or (user.isdigit() and rest.isdigit()):
            return _path(value)
        return f"{user}{colon}{MASK}"
    if _is_key(flag) and value.startswith(("/", "./", "~")):
        return _path(value)
    return MASK


def _path(argument: str) -> str:
    """Mask within one argument; a path's own names are left alone."""
    if argument.startswith(("/", "./", "../")) and not set(argument) & set("=@?: "):
        return argument
    return _text(argument)


def _text(text: str) -> str:
    text = TOKENS.sub(MASK, text)
    text = HEADER.sub(rf"\1\2{MASK}", text)
    text = BEARER.sub(rf"\1\2{MASK}", text)
    text = URL.sub(rf"\g<scheme>\g<user>:{MASK}@", text)
    text = URL_USER.sub(rf"\g<scheme>{MASK}@", text)
    text = PAIR.sub(_pair, text)
    if " " in text:
        text = _flags_within(text)
    text = UUID.sub(MASK, text)
    return RUN.sub(_run, text)


def _flags_within(text: str) -> str:
    """Mask "--password secret" within an argument such as sh's."""
    said, hides = [], False
    for word in text.split(" "):
        said.append(MASK if hides and word and not word.startswith("-") else word)
        hides = _is_flag(word) and _hides(word)
    return " ".join(said)


def _pair(found: re.Match[str]) -> str:
    name, value = found["name"], found["value"]
    if not _hides(name):
        return found[0]
    if _is_key(name) and value.startswith(("/", "./", "~")):
        return found[0]
    return f"{name}{found['is']}{MASK}"


def _run(found: re.Match[str]) -> str:
    parts = re.split("([/=_-])", found[0])
    said = "".join(MASK if RANDOM.fullmatch(part) else part for part in parts)
    return MASK if said != found[0] and "/" not in found[0] else said


def _is_flag(argument: str) -> bool:
    return argument.startswith("-") and "=" not in argument and len(argument) > 2


def _words(name: str) -> list[str]:
    return [word.lower() for word in WORDS.findall(name)]


def _is_key(name: str) -> bool:
    return _words(name)[-1:] == ["key"]


def _hides(name: str) -> bool:
    """Tell whether a name speaks of a secret."""
    words = _words(name)
    if not words or words[-1] in HARMLESS:
        return False
    if not SECRETS.isdisjoint(words) or WITHIN.search("".join(words)):
        return True
    if words[-1] != "key":
        return False
    return len(words) == 1 or words[-2] in KEYS
