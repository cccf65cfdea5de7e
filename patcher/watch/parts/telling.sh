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
