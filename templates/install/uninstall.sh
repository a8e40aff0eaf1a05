#!/bin/sh
# Takes the sysmonstm agent off this machine: program, service, credential, spool.
#
#   sudo sh uninstall.sh        what runs as a service of the machine
#   sh uninstall.sh             what lies in your home folder (--home: so as root)
set -eu

service=sysmonstm-agent

say() { printf '%s\n' "$*"; }

main() {
    home=no
    while [ $# -gt 0 ]; do
        case "$1" in
            --home) home=yes ;;
            *) say "uninstall.sh: I do not know $1." >&2; exit 2 ;;
        esac
        shift
    done
    if [ "$(id -u)" = 0 ] && [ "$home" = no ] && [ -d /opt/sysmonstm ]; then
        prefix=/opt/sysmonstm
        state=/var/lib/sysmonstm-agent
        end_service
    else
        prefix="$HOME/.local/share/sysmonstm"
        state="${XDG_STATE_HOME:-$HOME/.local/state}/sysmonstm-agent"
        end_at_home
    fi
    if [ ! -d "$prefix" ] && [ ! -d "$state" ]; then
        say "There is no agent of sysmonstm in $prefix."
        exit 0
    fi
    tell_the_hub
    rm -rf "$prefix" "$state"
    forget_service
    say "The agent is gone from this machine."
}

end_service() {
    if command -v systemctl >/dev/null 2>&1; then
        systemctl disable --now "$service" >/dev/null 2>&1 || true
    fi
}

end_at_home() {
    unit="${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user/$service.service"
    if [ -f "$unit" ]; then
        systemctl --user disable --now "$service" >/dev/null 2>&1 || true
        rm -f "$unit"
    fi
    if [ -x "$prefix/stop" ]; then
        "$prefix/stop" >/dev/null
    fi
}

# Its silence is meant from here on: nobody is told that the machine is down.
tell_the_hub() {
    if [ -x "$prefix/bin/sysmonstm-agent" ] && [ -d "$state" ]; then
        COLLECTOR_STATE_DIR="$state" COLLECTOR_SPOOL_DIR="$state" \
            "$prefix/bin/sysmonstm-agent" uninstall --yes ||
            say "The hub could not be told; it will say that this machine is silent."
    fi
}

forget_service() {
    if [ "$prefix" != /opt/sysmonstm ]; then
        return
    fi
    rm -rf "/etc/systemd/system/$service.service" /etc/sysmonstm-agent.env \
        /var/lib/private/sysmonstm-agent
    if command -v systemctl >/dev/null 2>&1; then
        systemctl daemon-reload >/dev/null 2>&1 || true
    fi
    if id "$service" >/dev/null 2>&1; then
        userdel "$service" >/dev/null 2>&1 || true
    fi
}

main "$@" </dev/null
