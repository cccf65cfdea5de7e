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
