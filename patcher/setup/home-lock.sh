# Who is at work on the machine at home, told by one file. Runs as root, on Linux and macOS. What it is to do is its first word:
#   take LOCK HOLDER             it is HOLDER's, unless it is somebody's
#   replace LOCK HOLDER STALE [SHOWN]
#                                the same, once what STALE has left there is out of the way, if it showed life last at SHOWN
#   renew LOCK HOLDER            a sign of life
#   give LOCK HOLDER             it is nobody's again
# A holder is one line of text, unlike any other's. Answers are lines "name value" on stdout.
set -u
LC_ALL=C
export LC_ALL

fail() {
	printf 'error %s\n' "$1"
	exit 1
}

holds() { [ -f "$LOCK" ] && [ ! -L "$LOCK" ] && [ "$(cat "$LOCK" 2>/dev/null)" = "$1" ]; }

# When it showed life last, in seconds since 1970 by the clock of this machine.
shown() { stat -c %Y "$LOCK" 2>/dev/null || stat -f %m "$LOCK" 2>/dev/null; }

# whole from the first moment: a link comes to be at once, or not at all
take() {
	own=$LOCK.$$
	if ! (umask 077 && printf '%s\n' "$HOLDER" >"$own"); then fail "$own cannot be written"; fi
	tries=0
	until [ -d "$LOCK" ] || ln "$own" "$LOCK" 2>/dev/null; do
		tries=$((tries + 1))
		if [ -e "$LOCK" ] || [ -L "$LOCK" ] || [ "$tries" -ge 3 ]; then break; fi
	done
	rm -f "$own"
	if holds "$HOLDER"; then
		echo 'lock taken'
		return 0
	fi
	# it may have been given back since
	then=$(shown) || then=$(date +%s)
	echo 'lock held'
	echo "shown $then"
	echo "now $(date +%s)"
	printf 'holder %s\n' "$(head -n 1 "$LOCK" 2>/dev/null)"
}

# One after the other, each looking again: somebody else may have been quicker, and be at work by now. A turn takes a moment; one that does
# not end was killed.
replace() {
	tries=0
	until mkdir "$LOCK.turn" 2>/dev/null; do
		tries=$((tries + 1))
		if [ "$tries" -ge 30 ]; then fail "$LOCK.turn cannot be made"; fi
		if [ "$tries" -eq 20 ]; then rmdir "$LOCK.turn"; else sleep 1; fi
	done
	if [ "$(head -n 1 "$LOCK" 2>/dev/null)" = "$1" ] && { [ -z "$2" ] || [ "$(shown)" = "$2" ]; }; then rm -rf "$LOCK"; fi
	rmdir "$LOCK.turn"
	take
}

renew() {
	if holds "$HOLDER" && touch "$LOCK"; then echo 'lock kept'; else echo 'lock lost'; fi
}

give() {
	if holds "$HOLDER"; then rm -f "$LOCK"; fi
	echo 'lock given'
}

main() {
	LOCK=$2
	HOLDER=$3
	case $1 in
		take | renew | give) "$1" ;;
		replace) replace "$4" "${5-}" ;;
		*) exit 2 ;;
	esac
}

# the last line, so that half of it does nothing
main "$@" </dev/null
