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

# ---- telling the owner

# $1 code, $2 version before or nothing, $3 version now or nothing: for the next heartbeat
tell() {
	notice="{\"code\":\"$1\",\"at\":$(now)000${2:+,\"from\":\"$2\"}${3:+,\"to\":\"$3\"}}"
	# shellcheck disable=SC2016 # for the other shell
	printf '%s\n' "$notice" | as_owner "$LOOK_SECONDS" sh -c \
		'umask 077; cd "$1" && [ -f client.json ] && cat >./.notice.json.new && mv -f ./.notice.json.new ./notice.json' sh "$state_folder" 2>/dev/null
}

# $1 code of the event, or another that is not told, $2 what is wrong, $3 what to do: tried again later and later
fail() {
	failures=0 told=''
	[ ! -f back-off ] || read -r failures _ told _ <back-off
	failures=$((failures + 1))
	pause=$RETRY_SECONDS doubled=1
	while [ "$doubled" -lt "$failures" ] && [ "$pause" -lt "$RETRY_LIMIT" ]; do
		pause=$((pause * 2)) doubled=$((doubled + 1))
	done
	[ "$pause" -le "$RETRY_LIMIT" ] || pause=$RETRY_LIMIT
	printf '%s %s %s %s\n' "$failures" "$(($(now) + pause))" "$1" "$2" | keep back-off
	say "error: $2"
	say "hint: $3"
	case $1 in
	"$told" | occ_failed) ;;
	*) tell "$1" "$before" "$version" ;;
	esac
	finish "failed $2" 1
}

# ---- the lock of ncpatch

# True when a transaction of ncpatch was begun and not brought to its end.
is_open() {
	[ -s "$journal/journal.jsonl" ] || return 1
	case $(tail -n 1 "$journal/journal.jsonl") in
	*'"t":"end"'*) return 1 ;;
	esac
}

# Seconds since the holder of the lock last did something.
idle() {
	set -- "$(stat -c %Y "$journal/lock" 2>/dev/null || echo 0)" "$(stat -c %Y "$journal/journal.jsonl" 2>/dev/null || echo 0)"
	[ "$1" -ge "$2" ] || set -- "$2"
	echo $(($(now) - $1))
}

# The form of journal-lock.ts. A lock of this script's is a dead one's, as no other of them runs now.
take_lock() {
	: >at-work
	holds="{\"v\":1,\"user\":\"root\",\"machine\":\"$machine\",\"pid\":$$,\"since\":$(now)000,\"nonce\":\"$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')\"}"
	mkdir -p "$journal" || return 1
	for _ in 1 2 3; do
		rm -f "$journal/.lock.watch"
		printf '%s\n' "$holds" >"$journal/.lock.watch" || return 1
		if ln "$journal/.lock.watch" "$journal/lock" 2>/dev/null; then
			rm -f "$journal/.lock.watch"
			# what an ncpatch that was cut off had started may still be at work
			exec 7>>"$journal/running"
			flock -n 7 && flock -s 7 && return
			drop_lock
			return 1
		fi
		rm -f "$journal/.lock.watch"
		held=$(cat "$journal/lock" 2>/dev/null)
		case $held in
		*"\"machine\":\"$machine\""*) ;;
		*) [ "$(idle)" -gt "$STALE_SECONDS" ] || return 1 ;;
		esac
		[ "$(cat "$journal/lock" 2>/dev/null)" != "$held" ] || rm -f "$journal/lock"
	done
	return 1
}

drop_lock() {
	rm -f at-work
	[ -z "$holds" ] || [ "$(cat "$journal/lock" 2>/dev/null)" != "$holds" ] || rm -f "$journal/lock"
	holds=''
}

# ---- what there is to do

# Sets seen and tree.
look() {
	seen=$(inside look "$root" "$config_file" "$app_folder/$APP") || return 1
	tree=${seen#*"$nl--$nl"}
	seen=$(printf '%s' "$seen" | sha256sum) || return 1
	seen=${seen%% *}
}

# Sets reason: why it is not the time. Maintenance mode that this script began is no reason.
is_time() {
	reason=$(inside wait "$root" "$config_file") || reason=unreachable
	[ "$reason" != maintenance ] || [ ! -f closed ] || reason=''
	[ -z "$reason" ]
}

wait_for_time() {
	until=$(($(now) + PATIENCE))
	since=$(now)
	if [ -f waiting ]; then
		read -r since _ <waiting
		# one that lasts is looked at each minute only
		[ $(($(now) - since)) -lt 3600 ] || until=0
	fi
	until is_time; do
		printf '%s %s\n' "$since" "$reason" | keep waiting
		[ "$(now)" -lt "$until" ] || finish "waiting $reason" 0
		sleep 2
	done
	rm -f waiting
}

# Sets files, enabled, installed, pending, core: what is, as far as occ can tell.
examine() {
	files=no enabled=no core=yes
	[ -z "$core_file" ] || [ "$(inside sum "$core_file")" = "$core_after" ] || core=no
	[ "$tree" != "$(cat app.sha256)" ] || files=yes
	ask "$OCC_SECONDS" status --output=json || return 1
	case $said in
	*'"installed":true'*) ;;
	*) return 1 ;;
	esac
	case $said in
	*'"needsDbUpgrade":true'*) pending=yes ;;
	*) pending=no ;;
	esac
	[ "$(occ "$OCC_SECONDS" config:app:get "$APP" enabled 2>/dev/null)" != yes ] || enabled=yes
	installed=$(occ "$OCC_SECONDS" config:app:get "$APP" installed_version 2>/dev/null)
}

is_whole() {
	[ "$files $enabled $core" = 'yes yes yes' ] && [ "$installed" = "$app_version" ] && [ ! -f closed ]
}

occ_fails() {
	[ "$files" = yes ] || fail app_gone 'the app is gone, and occ does not work' 'run "occ status" to see why; what it said is in the file "said"'
	fail occ_failed 'occ does not work' 'run "occ status" to see why; what it said is in the file "said"'
}

# ---- the repair

put_files() {
	set -- "$app_folder" "$APP"
	inside clear "$@" part
	if [ "$(inside tree "$1/.$2.latchkey-watch-new")" != "$(cat app.sha256)" ]; then
		inside clear "$@" new || return 1
		among "$LOOK_SECONDS" sh -c "$(cat upload.sh)" sh "$1" ".$2.latchkey-watch-new" ".$2.latchkey-watch-part" 755 "$app_owner" <app.tar || return 1
	fi
	inside swap "$@"
}

repair() {
	[ "$files" = yes ] || put_files || fail reapply_failed 'the app could not be put into its folder' 'look for a full disk or a read-only mount'
	if [ "$enabled" != yes ]; then
		ask "$OCC_SECONDS" app:enable "$APP" || fail_closed "nextcloud would not enable the app (exit code $answer)"
		installed=$(occ "$OCC_SECONDS" config:app:get "$APP" installed_version 2>/dev/null)
	fi
	if [ "$installed" != "$app_version" ]; then
		: >closed # an upgrade that breaks off leaves maintenance mode on
		ask "$UPGRADE_SECONDS" upgrade || :
		[ "$(occ "$OCC_SECONDS" config:app:get "$APP" installed_version 2>/dev/null)" = "$app_version" ] ||
			fail_closed 'occ upgrade did not take over the version of the app'
	fi
	if [ -f closed ]; then
		ask "$OCC_SECONDS" maintenance:mode --off || fail reapply_failed 'maintenance mode could not be ended' 'occ maintenance:mode --off'
		rm -f closed
	fi
}

# Stock Nextcloud, which has no key, would empty an encrypted file that somebody overwrites.
fail_closed() {
	if [ ! -f closed ] && [ "$(inside away "$state_folder")" = away ] && occ "$OCC_SECONDS" maintenance:mode --on >/dev/null 2>&1; then
		: >closed
	fi
	fail reapply_failed "$1" 'ncpatch apply; what occ said is in the file "said"'
}

# Sets proof: `release`, `loaded` where no key could be had or none is away, or ends in a failure.
prove() {
	proof=loaded
	if [ "$pending" = yes ]; then
		examine || occ_fails
		[ "$pending" = no ] || finish 'waiting upgrade' 0 # of another app's: until then none is loaded
	fi
	if [ "$(inside away "$state_folder")" = away ]; then
		if ask "$OCC_SECONDS" remotekey:verify --output=json; then
			proof=release
			case $said in
			*'"hook":"app"'* | *'"hook":"core"'*) return ;;
			esac
		else
			case $said in
			*'"code":"key_unusable"'*) fail reapply_failed 'the released key opens nothing here' 'check "secret" and "instanceid" in config.php' ;;
			*'"error":{"code":"'*) ;; # the key server is away or refuses: no fault of the app
			*) fail_closed 'the app could not try a release' ;;
			esac
		fi
	fi
	ask "$OCC_SECONDS" remotekey:status --output=json || fail_closed 'the app is enabled, and does not answer'
	case $said in
	*'"hook":"app"'* | *'"hook":"core"'*) ;;
	*) fail_closed 'nextcloud does not ask the app for keys' ;;
	esac
}

# Where the hook is a patch of the core: put back if the file is the one it was made for, else the owner is told.
mend_core() {
	[ "$core" = no ] || return 0
	if [ -f core.patched ] && [ "$(sha512sum <core.patched)" = "$core_after  -" ] && [ "$(inside sum "$core_file")" = "$core_before" ]; then
		among "$LOOK_SECONDS" sh -c "$(cat inside.sh)" sh put "${core_file%/*}" "${core_file##*/}" <core.patched && return
	fi
	fail core_hook_gone 'the patch of the core is gone' 'ncpatch apply'
}

record_repair() {
	last=0 streak=0
	[ ! -f repaired ] || read -r last streak _ <repaired
	[ $(($(now) - last / 1000)) -lt "$OFTEN_SECONDS" ] || streak=0
	streak=$((streak + 1))
	printf '%s000 %s %s %s %s %s\n' "$(now)" "$streak" "$proof" "$(($(now) - started))" "${before:--}" "${version:--}" | keep repaired
	tell reapplied "$before" "$version"
	say "the app was put back ($proof)"
	rm -f back-off said
	# somebody takes it away again and again
	[ "$streak" -lt "$OFTEN" ] || printf '0 %s reapplied often\n' "$(($(now) + OFTEN_SECONDS))" | keep back-off
}

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
