#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# Puts the app back after an upgrade of Nextcloud took it away or switched it off, without ncpatch. systemd (when a file that an
# upgrade changes has changed, and each minute) or cron (each minute) runs it as root:
#
#     sh watch.sh FOLDER
#
# FOLDER is what ncpatch wrote for it: settings.sh, the app as app.tar with its hashes in app.sha256, and the scripts that do the
# work among Nextcloud's files. It leaves there what "ncpatch watch status" tells. Nothing that changed costs one look at the
# files and no PHP. It waits while an upgrade or an ncpatch is under way, does nothing where a transaction of ncpatch is open, tries
# what failed again later and later, and never touches a key.
#
#   0  all is as it should be, or was put back, or it is not the time
#   1  the app is not in place, and could not be put there
#   2  used wrongly
#   3  the folder is not as it must be; nothing was done

# shellcheck disable=SC2154,SC2317 # settings.sh brings the one and calls the other
set -uf +ax
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin
export LC_ALL PATH
umask 077
exec </dev/null

PATIENCE=50          # s that one run waits for the end of an upgrade, looking every other second
LOOK_SECONDS=60      # for work among files
OCC_SECONDS=120      # for an ordinary occ command
UPGRADE_SECONDS=1800 # for occ upgrade
DEEP_SECONDS=3600    # so often occ is asked although no file has changed: somebody may have switched the app off
STALE_SECONDS=900    # patcher/journal/journal-lock.ts
RETRY_SECONDS=60     # after the first failure, then doubled
RETRY_LIMIT=3600
OFTEN=5 # repairs in a row, each within OFTEN_SECONDS of the one before, are a quarrel with somebody
OFTEN_SECONDS=900
APP=remotekeystorage

say() {
	printf 'watch: %s\n' "$1" >&2
}

now() {
	date +%s
}

# $1 seconds, then a program: ends it, and where timeout can what it has started
within() {
	seconds=$1
	shift
	# shellcheck disable=SC2086 # an option and its value, or none
	timeout $grace "$seconds" "$@"
}

# $1 name in the folder, stdin content
keep() {
	cat >"./.$1.new" 2>/dev/null && mv -f "./.$1.new" "./$1" && return
	rm -f "./.$1.new"
	return 1
}

# $1 how it went; ends this run with exit code $2
finish() {
	printf '%s000 %s\n' "$(now)" "$1" | keep looked
	exit "$2"
}

inside() {
	among "$LOOK_SECONDS" sh -s "$@" <inside.sh
}

# $1 occ's deadline, then its command; what it says is in `said`, which is kept for a person when it fails
ask() {
	deadline=$1
	shift
	said=$(occ "$deadline" "$@" 2>./.stderr)
	answer=$?
	[ "$answer" -eq 0 ] || printf 'occ %s: exit code %s\n%s\n%s\n' "$1" "$answer" "$said" "$(tail -c 1500 ./.stderr)" | tail -c 3000 | keep said
	return "$answer"
}

# @@own telling@@

# @@own lock@@

# @@own looking@@

# @@own repair@@

# ----

[ $# -eq 1 ] || {
	say 'usage: watch.sh FOLDER'
	exit 2
}
cd "$1" 2>/dev/null || {
	say "error: the folder $1 cannot be entered"
	exit 3
}
for name in settings.sh inside.sh upload.sh app.tar app.sha256; do
	[ -f "$name" ] && continue
	say "error: $name is not in $1"
	say 'hint: ncpatch watch install'
	exit 3
done
for program in flock timeout sha256sum tar; do
	command -v "$program" >/dev/null && continue
	say "error: $program is not installed on this machine"
	exit 3
done
nl='
'
grace='-k 10'
# shellcheck disable=SC2086 # an option and its value
timeout $grace 5 true 2>/dev/null || grace=''
# what a run that was killed has started may still be at work, and holds this as well
exec 8>>running
flock -n 8 || exit 0
# shellcheck source=/dev/null
. ./settings.sh
holds='' version='' before='' failures=0 next=0
machine=watch.$(uname -n | tr -cd 'A-Za-z0-9.-')
trap 'drop_lock; rm -f ./.stderr' EXIT
trap 'exit 1' HUP INT TERM

crashed=no
if [ -f at-work ]; then
	crashed=yes # a run was killed in its work
	rm -f at-work
	held=$(cat "$journal/lock" 2>/dev/null)
	case $held in
	*"\"machine\":\"$machine\""*) rm -f "$journal/lock" ;;
	esac
fi

if [ -f back-off ]; then
	read -r failures next _ <back-off
	[ "$(now)" -ge "$next" ] || exit 0
	[ "$failures" -gt 0 ] || rm -f back-off
fi
wait_for_time
look || finish 'failed the files of nextcloud cannot be reached' 1
known='' deep=0
[ ! -f seen ] || read -r known deep before <seen
if [ "$failures$crashed" = 0no ] && [ "$seen" = "$known" ] && [ $(($(now) - deep)) -lt "$DEEP_SECONDS" ]; then
	finish fine 0
fi
version=$(inside version "$root")
[ "$before" != "$version" ] || before=''
whole=no
# occ is not asked twice: where files differ it is the lock's turn
if [ "$tree" = "$(cat app.sha256)" ]; then
	examine || occ_fails
	! is_whole || whole=yes
fi
if [ "$whole" = yes ]; then
	rm -f back-off
	if [ "$crashed" = yes ]; then
		for what in part new old; do inside clear "$app_folder" "$APP" "$what"; done
	fi
	[ "$pending" = no ] || finish 'waiting upgrade' 0
else
	take_lock || finish 'waiting ncpatch' 0
	if is_open; then
		fail app_gone 'a transaction of ncpatch was not brought to its end' 'ncpatch apply, or ncpatch rollback'
	fi
	started=$(now)
	# what was seen a moment ago may have been an ncpatch at work, and an upgrade may have begun
	is_time || finish "waiting $reason" 0
	look || finish 'failed the files of nextcloud cannot be reached' 1
	examine || occ_fails
	mended=yes
	! is_whole || mended=no
	repair
	mend_core
	prove
	[ "$mended" = no ] || record_repair
	drop_lock
	look || finish 'failed the files of nextcloud cannot be reached' 1
fi
printf '%s %s %s\n' "$seen" "$(now)" "$version" | keep seen
finish fine 0
