#!/bin/sh
# Installs the sysmonstm agent on this machine, or brings it up to date.
#
#   echo TOKEN | sh agent.sh --token - --hub URL --fingerprint FINGERPRINT
#
# As root on a machine with systemd: into /opt/sysmonstm, as a service that runs as a
# user of its own without any privilege. Otherwise: into your home folder.
#
#   --hub URL           the address of the hub's pages
#   --token TOKEN       what lets this machine in, or - to read it; without one, only
#                       the program is brought up to date
#   --fingerprint F     of the hub's own certificate authority
#   --machine-id NAME   another name than the host name
#   --again             enrol also where the hub takes the credential that is there
#   --plaintext         let samples travel unencrypted, in a network of your own
#   --home              into the home folder, also as root
#   --no-start          install and enrol, start nothing
#   --python PROGRAM    the Python to use
#
# Everything it installs has its hash in this file; the page that gave you the command
# has the hash of this file.
set -eu
umask 022

service=sysmonstm-agent
bundled=@BUNDLED@

say() { printf '%s\n' "$*"; }
fail() { printf 'sysmonstm: %s\n' "$*" >&2; exit 1; }

main() {
    hub='' token='' fingerprint='' machine_id='' plaintext=no again=no home=no start=yes python=''
    while [ $# -gt 0 ]; do
        case "$1" in
            --plaintext) plaintext=yes ;;
            --again) again=yes ;;
            --home) home=yes ;;
            --no-start) start=no ;;
            --hub | --token | --fingerprint | --machine-id | --python)
                [ $# -gt 1 ] || fail "$1 needs a value."
                read_option "$1" "$2"
                shift
                ;;
            *) fail "I do not know $1. The head of this file says what there is." ;;
        esac
        shift
    done
    if [ "$token" = - ]; then read -r token || fail "There is no token to read."; fi
    exec </dev/null
    [ -n "$hub" ] || fail "Say where the hub is: --hub http://hub.example:8000"

    choose_place
    if [ -z "$token" ] && [ ! -e "$state/credential.json" ]; then
        fail "This machine is not let in yet, and no --token was given. Make a command" \
            "on the hub's page \"Add machine\"."
    fi
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    find_python
    reach_hub
    make_environment
    install_packages
    if [ "$where" = system ]; then make_user; fi
    enrol
    write_uninstaller
    keep_running
    say "Done. This machine shows on $hub within seconds."
    say "To take the agent off again: $uninstall"
}

read_option() {
    case "$1" in
        --hub) hub=${2%/} ;;
        --token) token=$2 ;;
        --fingerprint) fingerprint=$2 ;;
        --machine-id) machine_id=$2 ;;
        --python) python=$2 ;;
    esac
}

choose_place() {
    if [ "$(id -u)" = 0 ] && [ "$home" = no ] && [ -d /run/systemd/system ]; then
        where=system
        prefix=/opt/sysmonstm
        state=/var/lib/sysmonstm-agent
        uninstall="sudo sh $prefix/uninstall.sh"
        return
    fi
    where=home
    [ -n "${HOME:-}" ] || fail "HOME is not set: there is no folder to install into."
    prefix="$HOME/.local/share/sysmonstm"
    state="${XDG_STATE_HOME:-$HOME/.local/state}/sysmonstm-agent"
    uninstall="sh $prefix/uninstall.sh"
    # Where root looks first is for the service of the machine.
    if [ "$(id -u)" = 0 ]; then uninstall="$uninstall --home"; fi
}

find_python() {
    seen=''
    for candidate in ${python:-python3 python3.14 python3.13 python3.12 python3.11}; do
        found=$(command -v "$candidate" 2>/dev/null) || continue
        if "$found" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python=$found
            break
        fi
        seen="$seen${seen:+, }$("$found" --version 2>&1) at $found"
        found=''
    done
    if [ -z "${found:-}" ]; then
        fail "The agent needs Python 3.11 or newer, and this machine has ${seen:-none}." \
            "Install one (Debian 12, Ubuntu 24.04: apt-get install python3 python3-venv)," \
            "or name it: --python /path/to/python3.11"
    fi
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        fail "$python cannot make virtual environments. Install its venv module" \
            "(Debian, Ubuntu: apt-get install python3-venv) and run this again."
    fi
    say "[1/5] $("$python" --version) at $python"
}

reach_hub() {
    if ! "$python" -I - "$hub/install/hub.json" 2>"$work/said" <<'END_OF_PYTHON'; then
import sys, urllib.request
try:
    urllib.request.urlopen(sys.argv[1], timeout=15).read()
except Exception as error:
    sys.exit(f"{getattr(error, 'reason', error)}")
END_OF_PYTHON
        fail "$hub does not answer from here ($(cat "$work/said")). Can this machine" \
            "reach that address, and is the hub running?"
    fi
    say "[2/5] $hub answers"
}

make_environment() {
    unset PYTHONHOME PYTHONPATH PIP_TARGET PIP_PREFIX PIP_USER VIRTUAL_ENV
    if [ -x "$prefix/bin/python" ] &&
        "$prefix/bin/python" -c 'import pip' 2>/dev/null; then
        say "[3/5] $prefix is there, bringing it up to date"
        return
    fi
    say "[3/5] making $prefix"
    mkdir -p "$prefix"
    "$python" -m venv --clear "$prefix" >"$work/log" 2>&1 ||
        fail_with_log "The virtual environment could not be made."
}

install_packages() {
    say "[4/5] installing the agent and what it needs (a minute on a slow line)"
    cat >"$work/needed.txt" <<'END_OF_LIST'
@DEPENDENCIES@
END_OF_LIST
    cat >"$work/ours.txt" <<'END_OF_LIST'
@OURS@
END_OF_LIST
    if [ "$bundled" = no ] || ! install_from_hub -r "$work/needed.txt"; then
        pip -r "$work/needed.txt" ||
            fail_with_log "What the agent needs could not be installed from this" \
                "machine's package index. A hub can serve it: manage.py agentbundle"
    fi
    # The same version may have changed: a hub serves the agent of its own checkout.
    install_from_hub --no-deps --force-reinstall -r "$work/ours.txt" ||
        fail_with_log "The agent could not be installed from $hub. If the hub was" \
            "upgraded meanwhile, make a new command on its page \"Add machine\"."
}

install_from_hub() {
    pip --no-index --find-links "$hub/install/wheels/" \
        --trusted-host "$(printf '%s' "$hub" | sed 's|^[a-z]*://||; s|/.*||')" "$@"
}

pip() {
    PIP_USER=0 PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
        "$prefix/bin/python" -m pip install -q --require-hashes "$@" >"$work/log" 2>&1
}

fail_with_log() {
    tail -n 20 "$work/log" >&2
    fail "$@"
}

make_user() {
    unit=/etc/systemd/system/$service.service
    cat >"$unit" <<'END_OF_UNIT'
@UNIT@
END_OF_UNIT
    user=$(sed -n 's/^User=//p' "$unit")
    user=${user:-$service}
    if ! id "$user" >/dev/null 2>&1; then
        useradd --system --no-create-home --home-dir "$state" \
            --shell /usr/sbin/nologin "$user"
    fi
    # Under DynamicUser systemd moved it, and left a link that only root could plant.
    if [ ! -e "$state" ]; then install -d -m 700 -o "$user" "$state"; fi
}

enrol() {
    if [ -z "$token" ]; then
        say "[5/5] keeping the credential that this machine has"
        return
    fi
    # In the environment: what is typed after a program is for everybody to see.
    export COLLECTOR_ENROL_TOKEN="$token"
    set -- enrol "$hub"
    if [ -n "$fingerprint" ]; then set -- "$@" --fingerprint "$fingerprint"; fi
    if [ -n "$machine_id" ]; then set -- "$@" --machine-id "$machine_id"; fi
    if [ "$again" = yes ]; then set -- "$@" --again; fi
    if [ "$plaintext" = yes ]; then set -- "$@" --plaintext; fi
    say "[5/5] enrolling at the hub"
    if agent "$@" >"$work/said"; then
        # What to do next is for those who enrol by hand.
        sed '/^The credential is in/d; /^Next:/d' "$work/said"
        return
    fi
    [ -e "$state/credential.json" ] || fail "The hub did not let this machine in (see above)."
    say "The agent goes on with the credential it has. If the hub has revoked that one," \
        "make a new command there."
}

# As the user who will run it: the credential must be that one's alone.
agent() {
    export COLLECTOR_STATE_DIR="$state" COLLECTOR_SPOOL_DIR="$state"
    if [ "$where" = home ]; then
        mkdir -p -m 700 "$state"
        "$prefix/bin/sysmonstm-agent" "$@"
    elif command -v runuser >/dev/null 2>&1; then
        (cd / && runuser -u "$user" -- "$prefix/bin/sysmonstm-agent" "$@")
    else
        (cd / && setpriv --reuid "$user" --clear-groups "$prefix/bin/sysmonstm-agent" "$@")
    fi
}

write_uninstaller() {
    cat >"$prefix/uninstall.sh" <<'END_OF_UNINSTALLER'
@UNINSTALL@
END_OF_UNINSTALLER
    chmod 755 "$prefix/uninstall.sh"
}

keep_running() {
    if [ "$where" = system ]; then
        systemctl daemon-reload
        if [ "$start" = yes ]; then
            systemctl enable --quiet "$service"
            systemctl restart "$service"
            sleep 2
            if ! systemctl is-active --quiet "$service"; then
                systemctl status --no-pager --lines 20 "$service" >&2 || true
                fail "The agent is installed, and its service does not stay up (see above)."
            fi
            say "It runs as the service $service: systemctl status $service"
        fi
        return
    fi
    write_starters
    if [ "$start" = no ]; then
        say "To start it: $prefix/start"
    elif systemctl --user show-environment >/dev/null 2>&1; then
        as_user_service
    else
        "$prefix/stop" >/dev/null
        "$prefix/start"
        sleep 1
        if ! kill -0 "$(cat "$state/agent.pid")" 2>/dev/null; then
            tail -n 5 "$state/agent.log" >&2
            fail "The agent is installed, and does not stay up (see above)."
        fi
        say "It runs in the background; its log is $state/agent.log"
        say "So that it runs after a restart, too, add this line with \`crontab -e\`:"
        say "*/5 * * * * $prefix/start"
    fi
}

as_user_service() {
    units="${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user"
    mkdir -p "$units"
    cat >"$units/$service.service" <<END_OF_UNIT
[Unit]
Description=sysmonstm agent

[Service]
ExecStart=$prefix/bin/sysmonstm-agent
Environment="COLLECTOR_STATE_DIR=$state" "COLLECTOR_SPOOL_DIR=$state"
Restart=always
RestartSec=5
NoNewPrivileges=true
MemoryMax=128M

[Install]
WantedBy=default.target
END_OF_UNIT
    systemctl --user daemon-reload
    systemctl --user enable --quiet "$service"
    systemctl --user restart "$service"
    say "It runs as a service of yours: systemctl --user status $service"
    loginctl enable-linger >/dev/null 2>&1 ||
        say "So that it runs while you are signed out: sudo loginctl enable-linger $(id -un)"
}

write_starters() {
    mkdir -p -m 700 "$state"
    cat >"$prefix/start" <<END_OF_STARTER
#!/bin/sh
# Starts the agent unless it runs; safe to call again and again.
export COLLECTOR_STATE_DIR='$state' COLLECTOR_SPOOL_DIR='$state'
pid=\$(cat '$state/agent.pid' 2>/dev/null || echo none)
if grep -qs sysmonstm-agent "/proc/\$pid/cmdline"; then exit 0; fi
# Its log stays small enough without help.
if [ -n "\$(find '$state/agent.log' -size +2000k 2>/dev/null)" ]; then
    mv '$state/agent.log' '$state/agent.log.1'
fi
nohup '$prefix/bin/sysmonstm-agent' >>'$state/agent.log' 2>&1 </dev/null &
echo \$! >'$state/agent.pid'
END_OF_STARTER
    cat >"$prefix/stop" <<END_OF_STOPPER
#!/bin/sh
# Ends the agent that \`start\` started.
pid=\$(cat '$state/agent.pid' 2>/dev/null || echo none)
grep -qs sysmonstm-agent "/proc/\$pid/cmdline" || exit 0
kill "\$pid"
tries=0
while kill -0 "\$pid" 2>/dev/null && [ \$tries -lt 50 ]; do
    tries=\$((tries + 1))
    sleep 0.1
done
END_OF_STOPPER
    chmod 755 "$prefix/start" "$prefix/stop"
}

main "$@"
