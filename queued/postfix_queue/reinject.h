// The script in an exported folder: gives its messages to the sendmail(1) of whatever mail system is there. One run of it for the recipients with the same
// NOTIFY; what was taken is noted, so that a second run does not repeat it.
#pragma once

#include <string_view>

namespace postcot::queued {

inline constexpr std::string_view kReinject = R"sh(#!/bin/sh
# Gives the messages of this folder to the mail system that is installed, and removes each one that it has taken.
#   ./reinject [ID...]     default: all that are not on hold
cd "$(dirname "$0")" || exit 1
: "${SENDMAIL:=/usr/sbin/sendmail}"
status=0
tab=$(printf '\t')
value() { sed -n "s/^$1$tab//p" "$2" | head -n 1; }
recipients() { awk -F "$tab" -v notify="$2" '$1 == "recipient" && $3 == notify { print $2 }' "$1"; }
[ $# -gt 0 ] && named=yes || { named=; set -- *.envelope; }
for name do
    id=${name%.envelope}
    [ -f "$id.envelope" ] || continue
    if [ -z "$named" ] && [ "$(value hold "$id.envelope")" = yes ]; then
        echo "$id: on hold"
        continue
    fi
    taken=yes
    for notify in $(awk -F "$tab" '$1 == "recipient" { print $3 }' "$id.envelope" | sort -u); do
        [ -e "$id.taken.$notify" ] && continue
        if (
            set -f
            set -- -i -f "$(value sender "$id.envelope")"
            ret=$(value ret "$id.envelope") envid=$(value envid "$id.envelope") body=$(value body "$id.envelope")
            [ -n "$ret" ] && set -- "$@" -R "$ret"
            [ -n "$envid" ] && set -- "$@" -V "$envid"
            [ -n "$body" ] && set -- "$@" -B "$body"
            [ "$notify" != - ] && set -- "$@" -N "$notify"
            set -- "$@" --
            IFS='
'
            for to in $(recipients "$id.envelope" "$notify"); do set -- "$@" "$to"; done
            exec "$SENDMAIL" "$@" <"$id.eml"
        ); then
            : >"$id.taken.$notify"
        else
            taken=no
        fi
    done
    if [ $taken = yes ]; then
        rm -f "$id.envelope" "$id.eml" "$id".taken.*
    else
        echo "$id: not taken" >&2
        status=75
    fi
done
exit $status
)sh";

}   // namespace postcot::queued
