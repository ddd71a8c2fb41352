#!/bin/sh
# Managed by Sitewright, changes made here will be overwritten.
# Prints which programs and settings of this host are not as they were when the last installation ended (exit code 1).
#   sitewright-integrity            compare
#   sitewright-integrity --accept   what is there now is right: take a new baseline
# The other two are for the host's own upgrades: what was as the baseline says before is so again afterwards.
set -u
umask 077
config=/etc/aide/aide.conf
folder=/var/lib/aide
clean=/run/sitewright-integrity.clean

compare() {
  if [ ! -e "$folder/aide.db" ]; then
    echo "there is no baseline yet: an installation that changes something takes one, or sitewright-integrity --accept" >&2
    return 3
  fi
  aide --check --config="$config"
  answer=$?
  # Up to 7 it is the sum of what was found: new, gone, changed.
  [ "$answer" -le 7 ] || return 2
  [ "$answer" -eq 0 ]
}

accept() {
  aide --init --config="$config" >/dev/null || return 2
  mv -f "$folder/aide.db.new" "$folder/aide.db" || return 2
  systemctl reset-failed sitewright-integrity.service 2>/dev/null
  return 0
}

exec 9<"$folder"
flock 9
case "${1:-}" in
  "") compare ;;
  --accept) accept ;;
  --before-upgrade)
    rm -f "$clean"
    compare >/dev/null 2>&1 && touch "$clean"
    exit 0
    ;;
  --after-upgrade)
    [ -e "$clean" ] || exit 0
    rm -f "$clean"
    [ /var/lib/dpkg/status -nt "$folder/aide.db" ] || exit 0
    accept
    ;;
  *)
    echo "sitewright-integrity: $1 is not known; --accept takes a new baseline" >&2
    exit 2
    ;;
esac
