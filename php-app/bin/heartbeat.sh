#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# One heartbeat to the key server, without PHP and without Nextcloud. A systemd timer or cron runs it once a minute, as the
# owner of the state folder (on a snap that is root, and the folder lies below /var/snap/nextcloud):
#
#     sh heartbeat.sh STATE_FOLDER INSTANCE_ID
#
# It needs curl (7.52 or newer, for TLS 1.3), openssl and flock of the machine it runs on, not of a container or snap. It
# reads client.json, ca.pem and link.json, and shows client.crt with client.key to the key server where both are there; it
# writes the new time stamp (and the highest audit head) to link.json under the lock that every exchange holds, the outcome
# to heartbeat.json, and where the key server says so `purge`. Formats: lib/State. Silent unless something is wrong. What the
# watch (ncpatch) has to tell the owner is in notice.json; as notice.sending it goes out until the key server has it.
#
#   0  the key server knows this host
#   1  no answer that could be used: not reached, not proved by ca.pem, garbage, or a refusal that says nothing of this host
#   2  used wrongly
#   3  the state folder, this shell or a program is not as it must be; nothing was sent
#   4  the key server said no (purge, or this host is refused): every cached key was dropped
#   5  another process held the lock for too long; nothing was sent
#   6  answered, but by a key server whose audit log is older than one that was seen before
#
# It ends within half a minute: 6 s for the lock, 5 s for each of at most two exchanges. No secret is ever an argument or in
# the environment, where others could read it: they go through pipes of the shell's own printf, which is why HMAC is put
# together from two plain hashes here (RFC 2104).

set -ufC +ax
LC_ALL=C
export LC_ALL
umask 077
nl='
'
IFS=" 	$nl"
# a variable that comes in exported would be handed on with its new value
unset token current next link content answer body rest text tail byte inner

LOCK_TRIES=60
EXCHANGE_SECONDS=5
WINDOW_MS=60000
UNDER_WAY_MS=120000
NO_BOOT_ID=00000000-0000-0000-0000-000000000000
LINK='[A-Za-z0-9_-]{43}'
ENDPOINT='^(https://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)|http://(\[::1\]|localhost|127(\.[0-9]{1,3}){3}))(:[0-9]{1,5})?/?$'

say() {
	printf 'heartbeat: %s\n' "$1" >&2
}

# $1 exit code, $2 what is wrong, $3 what to do
refuse() {
	say "error: $2"
	say "hint: $3"
	exit "$1"
}

# ---- the state folder

# $1 name in the folder: it must be no link, closed to others, and of this user
is_private() {
	# shellcheck disable=SC2012,SC2046 # ls is the one portable way to ask; its words are split on purpose
	set -- "$1" $(ls -ldn "./$1" 2>/dev/null)
	case ${2-} in
	-???------* | d???------*) ;;
	*) refuse 3 "$1 in $dir must be closed to others and not be a link (state_mode)" 'chmod go=' ;;
	esac
	[ "$4" = "$uid" ] ||
		refuse 3 "$1 in $dir belongs to uid $4, this runs as uid $uid (state_owner)" 'run it as the owner of the state folder'
}

# $1 name, stdin content, $2 "durable" where it must outlive a power cut
replace() {
	temporary=./.$1.$$.new
	rm -f "$temporary"
	cat >"$temporary" && { [ "${2-}" != durable ] || sync "$temporary" 2>/dev/null || sync; } &&
		mv -f "$temporary" "./$1" && { [ "${2-}" != durable ] || sync . 2>/dev/null || sync; } && return
	rm -f "$temporary"
	return 1
}

# $1 time of the last message in ms, $2 highest audit head as JSON
store_link() {
	printf '{"version":1,"current":"%s","next":%s,"time":%s,"seen":%s}\n' "$current" "$next" "$1" "$2" |
		replace link.json durable ||
		refuse 3 "link.json could not be written to $dir (state_write)" 'look for a full disk or a read-only mount'
	time=$1 seen=$2
}

# sets current, next, link, time, seen, seen_seq, seen_hash
load_link() {
	content=$(tr -d ' \t\r\n' <link.json | sed -nE "s/^\{\"version\":1,\"current\":\"($LINK)\",\"next\":(null|\"$LINK\"),\
\"time\":(0|[1-9][0-9]{0,14}),\"seen\":(null|\{\"seq\":(0|[1-9][0-9]{0,14}),\"head\":\"([0-9a-f]{64})\"\})\}$/\1 \2 \3 \4 \5 \6/p")
	# shellcheck disable=SC2086 # six words
	set -- $content
	[ $# -ge 4 ] || refuse 3 "link.json in $dir is damaged (state_format)" 'enrol again under a code of "keyserver client reset"'
	current=$1 next=$2 time=$3 seen=$4 seen_seq=${5-} seen_hash=${6-}
	case $next in
	null) link=$current ;;
	*) link=${next#\"} link=${link%\"} ;;
	esac
}

# sets urls (one a line), client, token, keys (ids, with blanks between)
load_client() {
	content=$(tr -d ' \t\r\n' <client.json | sed 's#\\/#/#g')
	client=$(printf %s "$content" | sed -nE 's/.*"clientId":"([A-Za-z0-9._-]{1,128})".*/\1/p')
	token=$(printf %s "$content" | sed -nE "s/.*\"token\":\"($LINK)\".*/\1/p")
	urls=${content#*'"urls":["'}
	urls=$(printf '%s\n' "${urls%%'"]'*}" | sed 's/","/\
/g')
	keys=$(printf %s "$content" | sed -nE 's/.*"keys":\[([^]]*)\].*/\1/p' | tr -d '"' | tr ',' ' ')
	wrong=$(printf '%s\n' "$urls" | grep -Evc "$ENDPOINT")
	case "$content ${client:+client} ${token:+token} $wrong" in
	'{"version":1,'*' client token 0') ;;
	*) refuse 3 "client.json in $dir is not as it must be (state_format)" 'restore it from a copy, or enrol this host again' ;;
	esac
}

# Sets notice to what the owner is to be told, and notice_text to what the proof covers of it; both empty where there is nothing.
load_notice() {
	notice='' notice_text=''
	[ -f notice.sending ] || {
		[ -f notice.json ] || return 0
		mv -f notice.json notice.sending || return 0
	}
	version='[0-9A-Za-z][0-9A-Za-z.+-]{0,31}'
	form="^\{\"code\":\"([a-z_]{1,32})\",\"at\":(0|[1-9][0-9]{0,14})(,\"from\":\"($version)\")?(,\"to\":\"($version)\")?\}$"
	notice=$(sed -nE "s/$form/&/p" 2>/dev/null <notice.sending | head -n 1)
	notice_text=$(printf %s "$notice" | sed -nE "s/$form/|\1|\2|\4|\6/p")
	# one that is not as it must be would be refused for ever; nothing about a notice may stop the heartbeat
	[ -n "$notice" ] || rm -f notice.sending
}

# The key server has it, or cannot take it.
drop_notice() {
	rm -f notice.sending
	notice='' notice_text=''
}

# ---- hashes

link_bytes() {
	printf '%s=' "$link" | tr '_-' '/+' | openssl base64 -d -A
}

# stdin bytes → hex digits
sha256() {
	openssl dgst -sha256 -r | sed -n 's/^\([0-9a-f]\{64\}\).*/\1/p'
}

# $1 hex digits, $2 a number that each byte is combined with → bytes
unhex() {
	rest=$1 text=''
	while [ -n "$rest" ]; do
		tail=${rest#??}
		byte=$((0x${rest%"$tail"} ^ $2))
		text=$text\\0$((byte >> 6))$((byte >> 3 & 7))$((byte & 7))
		rest=$tail
	done
	printf %b "$text"
}

# $1 key of 32 bytes in hex, $2 message → HMAC-SHA-256 in hex
hmac() {
	pad=0000000000000000000000000000000000000000000000000000000000000000
	inner=$({
		unhex "$1$pad" 0x36
		printf %s "$2"
	} | sha256)
	{
		unhex "$1$pad" 0x5c
		unhex "$inner" 0
	} | sha256
}

# ---- the exchange

# $1 name → the text that the answer's body has there
field() {
	printf %s "$body" | sed -nE "s/.*\"$1\":\"([A-Za-z0-9._:-]{1,128})\".*/\1/p"
}

# $1 name → the number
number() {
	printf %s "$body" | sed -nE "s/.*\"$1\":(0|[1-9][0-9]{0,14})[,}].*/\1/p"
}

# One heartbeat to the key server $1. Sets code: ok, purge, the server's problem code, or unreachable, timeout,
# tls_failed, bad_answer; status: of HTTP, 0 without an answer; reason, body.
beat() {
	# not every date knows smaller units: the end of this second is later than whatever was said within it
	now=$(date +%s)999
	[ "$now" -gt "$time" ] || now=$((time + 1))
	store_link "$now" "$seen"
	proof=$(hmac "$(link_bytes | sha256)" "$link_id|$time|$boot_id$notice_text")
	notice_member=${notice:+$(printf '"notice":%s,' "$notice" | sed 's/"/\\"/g')}
	left=$((deadline - $(date +%s)))
	[ "$left" -gt 0 ] || left=1
	answer=$({
		{
			printf '%s\n' silent globoff http1.1 tlsv1.3 'proto = "=https,http"' 'noproxy = "*"' 'user-agent = "remotekeystorage/1"'
			# a folder without certificates, so that those of the system are not asked
			printf '%s\n' 'cacert = "ca.pem"' 'capath = "."'
			[ "$certificate" = no ] || printf '%s\n' 'cert = "client.crt"' 'key = "client.key"'
			printf '%s\n' 'connect-timeout = 2' "max-time = $left" 'max-filesize = 8192'
			printf '%s\n' 'write-out = "\n%{http_code} %{time_connect} %{content_type}"' "url = \"${1%/}/v1/heartbeat\""
			printf '%s\n' "header = \"X-Client: $client\"" "header = \"X-Auth-Token: $token\"" 'header = "Expect:"'
			printf '%s\n' 'header = "Content-Type: application/json"' 'header = "Accept: application/json, application/problem+json"'
			printf 'data = "{\\"linkId\\":\\"%s\\",\\"time\\":%s,\\"bootId\\":\\"%s\\",\\"uptime\\":%s,%s\\"proof\\":\\"%s\\"}"\n' \
				"$link_id" "$time" "$boot_id" "$uptime" "$notice_member" "$proof"
		} | curl -q -K - 2>/dev/null
		printf '\n%s' "$?"
	} | tr -d '\000' | head -c 9000)
	judge "${answer##*"$nl"}"
}

# $1 what curl ended with
judge() {
	body=${answer%"$nl"*}
	facts=${body##*"$nl"}
	body=${body%"$nl"*}
	status=0 reason=''
	case $1 in
	0) ;;
	28)
		code=timeout
		case $facts in *' 0.000000 '*) code=unreachable ;; esac
		return
		;;
	35 | 5[13489] | 60 | 64 | 66 | 77 | 80 | 82 | 83 | 90 | 91 | 98)
		code=tls_failed
		return
		;;
	[1-9] | [1-9][0-9])
		code=unreachable
		[ "$1" != 63 ] || code=bad_answer
		return
		;;
	*)
		code=bad_answer # longer than any answer is
		return
		;;
	esac
	status=${facts%% *}
	body=$(printf %s "$body" | tr -d ' \t\r\n')
	code=''
	type=${facts#* }
	case "$status ${type#* } $body" in
	'200 application/json'*' {'*'}')
		code=$(field state)
		head_seq=$(number seq)
		head_hash=$(printf %s "$body" | sed -nE 's/.*"hash":"([0-9a-f]{64})".*/\1/p')
		[ -n "$head_seq" ] && [ -n "$head_hash" ] || code=''
		case $code in ok | purge) ;; *) code=bad_answer ;; esac
		;;
	[45]*' application/problem+json'*' {'*'}')
		code=$(printf %s "$body" | sed -nE 's/.*"code":"([a-z][a-z0-9_]{1,63})".*/\1/p')
		reason=$(field reason)
		;;
	esac
	[ -n "$code" ] || code=bad_answer
}

# Asks one key server of the list after the other, as long as another may do better.
beat_somewhere() {
	deadline=$(($(date +%s) + EXCHANGE_SECONDS))
	for url in $urls; do
		beat "$url"
		case $code in
		unreachable | timeout | tls_failed | bad_answer | sealed | degraded) [ "$(date +%s)" -lt "$deadline" ] || return 0 ;;
		*) return 0 ;;
		esac
	done
}

# ---- what follows from the answer

# Keys cached on tmpfs go; the workers of PHP compare the time and size of `purge` with those of their own copies.
drop_keys() {
	printf . >>purge || touch purge || say "error: purge could not be written in $dir (state_write)"
	tag=$(printf '%s\0%s' "$instance" "$dir" | sha256)
	tag=$(printf %.16s "$tag")
	for id in $keys; do
		name=$(printf 'latchkey:%s:%s' "$tag" "$id" | sha256)
		for parent in /run /run/snap.nextcloud "/run/user/$uid" /dev/shm; do
			rm -f "$parent/latchkey-$uid/$name" 2>/dev/null
		done
	done
}

# What would have met this heartbeat too is over; what is about releases alone is not.
close_breaker() {
	[ -f breaker.json ] || return 0
	case $(sed -nE 's/.*"code": *"([a-z_0-9]+)".*/\1/p' <breaker.json) in
	unauthorized | rate_limited | approval_pending | approval_denied | fingerprint_refused | outside_hours) ;;
	stale_message | not_found | invalid_request) ;;
	*) rm -f breaker.json ;;
	esac
}

# The newest head is kept. True when this one is older than a head that was seen, or another one under the same number.
went_back() {
	if [ "$seen" = null ] || [ "$head_seq" -gt "$seen_seq" ]; then
		store_link "$time" "{\"seq\":$head_seq,\"head\":\"$head_hash\"}"
		return 1
	fi
	[ "$head_seq" -lt "$seen_seq" ] || [ "$head_hash" != "$seen_hash" ] || return 1
	[ -f rollback.json ] ||
		printf '{"version":1,"time":%s000,"seen":%s,"told":{"seq":%s,"head":"%s"}}\n' \
			"$(date +%s)" "$seen" "$head_seq" "$head_hash" | replace rollback.json
}

# For the admin page: how this ended, and when the key server was last content.
record() {
	answered=$(sed -nE 's/.*"answered":(null|[1-9][0-9]{0,14})[,}].*/\1/p' 2>/dev/null heartbeat.json)
	[ "$code" != ok ] || answered=$(date +%s)000
	printf '{"version":1,"time":%s000,"code":"%s","answered":%s}\n' "$(date +%s)" "$code" "${answered:-null}" | replace heartbeat.json
}

# ----

[ $# -eq 2 ] || refuse 2 'usage: heartbeat.sh STATE_FOLDER INSTANCE_ID' 'ncpatch puts both into the timer it installs'
dir=$1 instance=$2
case $dir in
/*) ;;
*) refuse 2 'STATE_FOLDER must be an absolute path' 'config.php names it in "remotekeystorage.dir"' ;;
esac
case $instance in
'' | *[!a-z0-9]*) refuse 2 'INSTANCE_ID must be the "instanceid" of config.php' 'occ config:system:get instanceid' ;;
esac
while [ "$dir" != "${dir%/}" ] && [ "$dir" != / ]; do dir=${dir%/}; done

[ "$(command -v printf)" = printf ] ||
	refuse 3 'printf is no part of this shell, so secrets would show in the process list (shell_unfit)' 'run it with dash, bash or busybox'
for program in curl openssl flock; do
	command -v "$program" >/dev/null || refuse 3 "$program is not installed on this machine (program_missing)" "install $program"
done
uid=$(id -u)
if [ -h "$dir" ] || ! cd "$dir" 2>/dev/null; then
	refuse 3 "the state folder $dir is not there, is a link, or cannot be entered (state_missing)" 'correct the path, or run it as its owner'
fi
is_private .
[ -f client.json ] || refuse 3 "this host is not enrolled: there is no client.json in $dir (not_enrolled)" 'ncpatch enroll'

# exec itself would end some shells
true >>lock || refuse 3 "the lock in $dir cannot be opened (state_write)" 'look for files of another user in it'
exec 9>>lock
tries=$LOCK_TRIES
until flock -n 9; do
	tries=$((tries - 1))
	[ "$tries" -gt 0 ] || refuse 5 "another process of this host is still talking to the key server (state_busy)" 'try again'
	sleep 0.1 2>/dev/null || { sleep 1 && tries=$((tries - 9)); }
done

trap 'rm -f "./.link.json.$$.new" "./.heartbeat.json.$$.new" "./.rollback.json.$$.new"' EXIT
trap 'exit 1' HUP INT TERM
for name in client.json link.json ca.pem; do
	[ -f "$name" ] || refuse 3 "$name is not in $dir (state_missing)" 'enrol again under a code of "keyserver client reset"'
	is_private "$name"
done
certificate=no
if [ -f client.crt ] && [ -f client.key ]; then
	is_private client.key
	certificate=yes
fi
load_link
load_client
[ "$(link_bytes | wc -c)" -eq 32 ] || refuse 3 "link.json in $dir is damaged (state_format)" 'enrol again'
link_id=$({
	printf id
	link_bytes
} | sha256)
link_id=$(printf %.16s "$link_id")
boot_id=$(grep -Ex '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}' /proc/sys/kernel/random/boot_id 2>/dev/null) || boot_id=$NO_BOOT_ID
uptime=$(sed -nE 's/^([0-9]{1,9})[. ].*/\1/p' /proc/uptime 2>/dev/null)
uptime=${uptime:-0}

ahead=''
load_notice
beat_somewhere
if [ -n "$notice" ] && [ "$code" = invalid_request ]; then
	# a key server of before there were notices
	drop_notice
	beat_somewhere
fi
if [ "$code" = stale_message ]; then
	# the server ignored it, so saying it again with a newer time is safe. Where our stamp ran far ahead it goes back, but only
	# to what is heard when all that was said so far has arrived or never will (LinkState::rebase)
	server_time=$(number serverTime)
	if [ -n "$server_time" ]; then
		ahead=$(((time - server_time + 999) / 1000))
		limit=$((server_time + WINDOW_MS + UNDER_WAY_MS))
		if [ "$time" -lt $((server_time + WINDOW_MS)) ]; then
			ahead=''
			beat_somewhere
		elif [ "$time" -gt "$limit" ]; then
			store_link "$limit" "$seen"
		fi
	fi
fi
record

case $code in
ok)
	[ -z "$notice" ] || drop_notice
	close_breaker
	went_back || exit 0
	say 'error: the key server has shown an older audit log than before (server_rollback_suspected)'
	say 'hint: it may have been restored from a backup; compare "keyserver audit tail" with what its owner knows'
	exit 6
	;;
purge)
	drop_keys
	went_back || :
	say 'error: the key server told this host to drop its keys (purge)'
	say 'hint: see "keyserver audit tail" for the reason'
	exit 4
	;;
esac
why="the key server answered $status $code${reason:+ ($reason)}"
[ "$status" != 0 ] || why="no usable answer from the key server ($code)"
case "$status $code" in
*' bad_answer' | *' grant_refused') ;;
401* | 403* | 423* | *' unauthorized' | *' source_refused' | *' locked' | *' killed')
	drop_keys
	refuse 4 "$why" 'see "keyserver audit tail" for the reason'
	;;
esac
[ -z "$ahead" ] || refuse 1 "$why: the clock is or was until lately $ahead s ahead (clock_skew)" \
	'set time synchronisation right; after that the key server listens again within two minutes'
refuse 1 "$why" 'check that the key server runs, that the tunnel is up and that the clocks agree'
