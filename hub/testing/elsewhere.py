"""Another machine on this one: the page's commands pasted, under real systemd.

    python -m hub.testing.elsewhere

An overlay of this machine's files with a network, processes and a systemd of its own;
what it writes is thrown away. As root there, and as somebody without root who has a
systemd of their own. Needs root, `ip`, and Debian's systemd: so it is run by hand, not
by `make test`, which pastes the command of somebody who has none.
"""

from __future__ import annotations

import html
import http.cookiejar
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hub.testing import hubs
from hub.testing.progress import say

HERE, THERE = "10.213.77.1", "10.213.77.2"
BOOT_S, PASTE_S, COMES_S, CUT_S = 60, 180, 30, 5
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SERVICE = "sysmonstm-agent"

# Somebody there without root, and their own systemd: what `pam_systemd` starts when
# they sign in, for which this machine has no D-Bus.
USER, RUNTIME = 4711, "/run/user/4711"
SIGN_IN = f"""
useradd --uid {USER} --create-home somebody &&
install -d -m 700 -o somebody -g somebody {RUNTIME} &&
systemd-run --quiet --unit=somebody --uid=somebody -p Delegate=yes \\
    -E XDG_RUNTIME_DIR={RUNTIME} -E HOME=/home/somebody /lib/systemd/systemd --user
"""

# Run in namespaces of its own; $1 is the folder, $2 its end of the cable.
BOOT = """
set -e
root=$1/root
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
ln -s /proc/self/fd "$root/dev/fd"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t sysfs -o ro sysfs "$root/sys"
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
else
    mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
    mkdir "$root/sys/fs/cgroup/systemd"
    mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
fi
hostname elsewhere
echo elsewhere > "$root/etc/hostname"
: > "$root/etc/fstab"
rm -rf "$root"/etc/systemd/system/*.wants/* "$root/opt/sysmonstm" \\
    "$root/var/lib/sysmonstm-agent"
ip link set lo up
ip addr add "$3/24" dev "$2"
ip link set "$2" up
export container=other
exec chroot "$root" /lib/systemd/systemd --system --unit=basic.target \\
    --log-target=null --show-status=false
"""


class Elsewhere:
    """A machine that has started."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command there as root, in a shell that knows nothing."""
        return subprocess.run(
            [
                *("nsenter", "--target", str(self._pid), "--mount", "--pid", "--uts"),
                *("--net", "--ipc", "--cgroup", "--root", "--wd"),
                *("env", "-i", f"PATH={PATH}", "HOME=/root"),
                *("sh", "-c", f"cd /root\n{command}"),
            ],
            check=False,
            capture_output=True,
            text=True,
            timeout=PASTE_S,
        )

    def run_as_somebody(self, command: str) -> subprocess.CompletedProcess[str]:
        """The same without root, as in a session of theirs."""
        return self.run(
            "cd /home/somebody && "
            f"setpriv --reuid={USER} --regid={USER} --clear-groups "
            f"env HOME=/home/somebody XDG_RUNTIME_DIR={RUNTIME} "
            f"sh -c {shlex.quote(command)}"
        )

    def said(self, command: str) -> str:
        return self.run(command).stdout.strip()


@contextmanager
def machine(folder: Path) -> Iterator[Elsewhere]:
    """Start a machine whose files lie in `folder`; end it and all it runs."""
    name = f"sysm{os.getpid()}"
    ours, theirs = f"{name}a", f"{name}b"
    for part in ("root", "upper", "work"):
        (folder / part).mkdir()
    with ExitStack() as stack:
        _ip("netns", "add", name)
        stack.callback(_ip, "netns", "del", name)
        _ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", name)
        _ip("addr", "add", f"{HERE}/24", "dev", ours)
        _ip("link", "set", ours, "up")
        unshare = ("unshare", "--mount", "--pid", "--fork", "--uts", "--ipc")
        started = subprocess.Popen(
            [
                *("ip", "netns", "exec", name, *unshare, "--cgroup", "--kill-child"),
                *("sh", "-c", BOOT, "boot", str(folder), theirs, THERE),
            ]
        )
        stack.callback(started.wait, timeout=BOOT_S)
        stack.callback(started.kill)
        yield _ready(started.pid)


def _ready(unshare: int) -> Elsewhere:
    children = Path(f"/proc/{unshare}/task/{unshare}/children")
    wait(lambda: bool(children.read_text()), "the other machine starts", BOOT_S)
    there = Elsewhere(int(children.read_text()))
    asked = "systemctl is-system-running"
    up = ("running", "degraded")
    wait(lambda: there.said(asked) in up, "the other machine is up", BOOT_S)
    return there


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


class Administrator:
    """Somebody at the hub's pages."""

    def __init__(self, hub: hubs.Embedded) -> None:
        port = urllib.parse.urlsplit(hub.web).port
        self._web = f"http://{HERE}:{port}"
        cookies = http.cookiejar.CookieJar()
        self._open = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(cookies)
        ).open
        path = urllib.parse.urlsplit(hub.link).path
        # As a browser says of an address that was typed.
        typed = {"Sec-Fetch-Site": "none"}
        self._open(urllib.request.Request(self._web + path, headers=typed)).close()

    def get(self, path: str) -> str:
        with self._open(self._web + path, timeout=20) as page:
            return str(page.read().decode())

    def post(self, path: str, **form: str) -> str:
        token = re.search(
            r'csrfmiddlewaretoken" value="(\w+)"', self.get("/add-machine/")
        )
        assert token
        sent = urllib.parse.urlencode({"csrfmiddlewaretoken": token[1], **form})
        with self._open(self._web + path, sent.encode(), timeout=20) as page:
            return str(page.read().decode())

    def command(self, *, by_root: bool = True) -> tuple[str, str]:
        """Make a command; return it as it is pasted, and where its page asks."""
        page = self.post("/add-machine/", uses="1", lifetime="15m")
        [shell, alone, *_] = re.findall(r"<pre[^>]*>(curl.*?)</pre>", page, re.DOTALL)
        [news] = re.findall(r'hx-get="(/add-machine/\d+/arrived)"', page)
        pasted = html.unescape(shell).replace("| sudo ", "| ")
        return pasted if by_root else html.unescape(alone), news


def story(there: Elsewhere, somebody: Administrator) -> None:
    """Paste, look, paste again, revoke, take off. Raises AssertionError."""
    command, news = somebody.command()
    done = there.run(command)
    sys.stdout.write(done.stdout + done.stderr)
    assert done.returncode == 0
    values = r"elsewhere.*<dt>CPU</dt><dd>\d"
    wait(lambda: _has(values, somebody.get(news)), "its first values show", COMES_S)

    status = there.said(f"cat /proc/$(systemctl show -P MainPID {SERVICE})/status")
    check("it runs without any privilege", _has(r"CapEff:\s+0{16}", status))
    check("it can gain none", _has(r"NoNewPrivs:\s+1", status))
    check("it runs as a user of its own", not _has(r"Uid:\s+0\s", status))
    kept = there.said("stat -c '%a %U' /var/lib/sysmonstm-agent/credential.json")
    check("its credential is its own", kept == f"600 {SERVICE}")
    say(f"  {there.said(f'systemd-analyze security {SERVICE} | tail -1')}")

    check("pasted again, it is brought up to date", there.run(command).returncode == 0)
    running = f"systemctl is-active {SERVICE}"
    check("and runs", there.said(running) == "active")

    revoked = time.monotonic()
    somebody.post("/revoke-agent/elsewhere")
    log = f"journalctl -u {SERVICE} -o cat"
    wait(lambda: "UNAUTHENTICATED" in there.said(log), "revoked, it is cut", CUT_S)
    say(f"  cut after {time.monotonic() - revoked:.1f} s")

    gone = there.run("sh /opt/sysmonstm/uninstall.sh")
    sys.stdout.write(gone.stdout + gone.stderr)
    left = f"ls -d /opt/sysmonstm /var/lib/{SERVICE} /etc/systemd/system/{SERVICE}*"
    check("taken off, nothing is left", there.said(left) == "")
    check("nor its user", there.run(f"id {SERVICE}").returncode != 0)


def story_without_root(there: Elsewhere, somebody: Administrator) -> None:
    """The same for somebody with a systemd of their own."""
    there.run(SIGN_IN)
    asked = "systemctl --user show-environment >/dev/null && echo yes"
    theirs = there.run_as_somebody
    wait(lambda: "yes" in theirs(asked).stdout, "somebody has signed in", BOOT_S)
    command, news = somebody.command(by_root=False)
    done = theirs(f"{command} --machine-id of-somebody")
    sys.stdout.write(done.stdout + done.stderr)
    assert done.returncode == 0
    check("it is a service of theirs", "as a service of yours" in done.stdout)
    values = r"of-somebody.*<dt>CPU</dt><dd>\d"
    wait(lambda: _has(values, somebody.get(news)), "its first values show", COMES_S)
    running = f"systemctl --user is-active {SERVICE}"
    check("it runs", theirs(running).stdout.strip() == "active")
    gone = theirs("sh ~/.local/share/sysmonstm/uninstall.sh")
    sys.stdout.write(gone.stdout + gone.stderr)
    left = there.said("find /home/somebody -name '*sysmonstm*' ! -name '*.sh'")
    check("taken off, nothing is left", left == "")
    check("and nothing runs", theirs(running).stdout.strip() != "active")


def wait(is_so: Callable[[], bool], what: str, within_s: float) -> None:
    until = time.monotonic() + within_s
    while not (so := is_so()) and time.monotonic() < until:
        time.sleep(0.2)
    check(what, so)


def check(what: str, is_so: bool) -> None:
    say(f"{'yes' if is_so else 'NO '} {what}")
    assert is_so, what


def _has(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.DOTALL) is not None


def main() -> int:
    if os.geteuid() != 0:
        sys.exit("This makes namespaces and mounts: run it as root.")
    settings = {
        "GRPC_HOST": "0.0.0.0",
        "HTTP_HOST": "0.0.0.0",
        "ALLOWED_HOSTS": f"127.0.0.1,localhost,{HERE}",
        "ALLOW_SQLITE": "true",
    }
    # Kept on disk: a whole virtual environment is written there.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name, ExitStack() as stack:
        folder = Path(name)
        env = hubs.environment(DATA_DIR=str(folder / "var"))
        subprocess.run(
            [sys.executable, hubs.ROOT / "manage.py", "agentbundle", "--installed"],
            env=env,
            check=True,
        )
        (folder / "there").mkdir()
        there = stack.enter_context(machine(folder / "there"))
        hub = stack.enter_context(hubs.first_start(folder / "var", **settings))
        try:
            somebody = Administrator(hub)
            story(there, somebody)
            story_without_root(there, somebody)
        except AssertionError:
            sys.stderr.write(there.said(f"journalctl -u {SERVICE} -o cat | tail -30"))
            raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
