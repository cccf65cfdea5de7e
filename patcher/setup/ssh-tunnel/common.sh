# Runs as root on one end of an SSH tunnel; values stand before it, and what it is to do is its first word. Answers are lines
# "name value" on stdout; what goes wrong is "error CODE", "words …" and "hint …". Nothing but the account is made before its mark.
set -u
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
umask 022

tell() { printf '%s %s\n' "$1" "$2"; }

# die CODE WORDS [HINT]
die() {
	tell error "$1"
	tell words "$2"
	if [ $# -gt 2 ]; then tell hint "$3"; fi
	exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }
is_mac() { [ "$(uname -s)" = Darwin ]; }
there() { [ -e "$1" ] || [ -L "$1" ]; }

# kind_of PATH MARK: whose it is
kind_of() {
	if ! there "$1"; then
		echo none
	elif [ ! -L "$1" ] && [ -f "$1" ] && grep -qF "$2" "$1"; then
		echo ours
	else
		echo foreign
	fi
}

# put PATH MODE TEXT: whole or not at all. CHANGED says whether anything was.
CHANGED=no
put() {
	if [ ! -L "$1" ] && [ -f "$1" ] && [ "$(cat "$1"; echo .)" = "$3
." ]; then return 0; fi
	CHANGED=yes
	rm -f "$1.new"
	if ! { printf '%s\n' "$3" >"$1.new" && chmod "$2" "$1.new" && mv -f "$1.new" "$1"; }; then
		rm -f "$1.new"
		die not_written "$1 could not be written"
	fi
}

# folder PATH: with those above it, looked into by anybody
folder() {
	if [ -d "$1" ]; then return 0; fi
	folder "${1%/*}"
	mkdir -m 755 "$1" || die not_written "$1 could not be made"
}

# An account whose home is our folder was made here.
account_state() {
	if is_mac; then
		if ! id "$ACCOUNT" >/dev/null 2>&1; then
			echo none
		elif [ "$(dscl . -read "/Users/$ACCOUNT" NFSHomeDirectory 2>/dev/null)" = "NFSHomeDirectory: $FOLDER" ]; then
			echo ours
		else
			echo foreign
		fi
	elif grep -q "^$ACCOUNT:[^:]*:[^:]*:[^:]*:[^:]*:$FOLDER:" /etc/passwd; then
		echo ours
	elif id "$ACCOUNT" >/dev/null 2>&1 || grep -q "^$ACCOUNT:" /etc/group; then
		echo foreign
	else
		echo none
	fi
}

# It has no password, which is told from one that is locked: sshd lets nobody in whose account is locked.
make_account() {
	case $(account_state) in
		ours) return 0 ;;
		foreign) die account_taken "there is an account or a group $ACCOUNT, which is not Latchkey's" "give it another name, or remove it" ;;
	esac
	made=no
	if is_mac; then
		make_account_macos && made=yes
	elif has useradd; then
		useradd -r -U -M -d "$FOLDER" -s "$(nobody_shell)" -c 'Latchkey SSH tunnel' -p '*' "$ACCOUNT" >&2 && made=yes
	elif has adduser; then
		addgroup -S "$ACCOUNT" >&2 &&
			adduser -S -D -H -h "$FOLDER" -s "$(nobody_shell)" -g 'Latchkey SSH tunnel' -G "$ACCOUNT" "$ACCOUNT" >&2 &&
			echo "$ACCOUNT:*" | chpasswd -e >&2 && made=yes
	fi
	[ "$made" = yes ] || die account_not_made "the account $ACCOUNT could not be made"
}

nobody_shell() {
	for shell in /usr/sbin/nologin /sbin/nologin; do
		if [ -x "$shell" ]; then
			echo "$shell"
			return 0
		fi
	done
	echo /bin/false
}

# dscl(1): a number below 500, which is a person's, that neither an account nor a group has.
make_account_macos() {
	number=300
	while dscl . -list /Users UniqueID | grep -q "[[:space:]]$number\$" || dscl . -list /Groups PrimaryGroupID | grep -q "[[:space:]]$number\$"; do
		number=$((number + 1))
		[ "$number" -lt 500 ] || return 1
	done
	# where it is begun and not ended, it is told by its home
	dscl . -create "/Users/$ACCOUNT" NFSHomeDirectory "$FOLDER" &&
		dscl . -create "/Groups/$ACCOUNT" PrimaryGroupID "$number" &&
		dscl . -create "/Users/$ACCOUNT" UniqueID "$number" &&
		dscl . -create "/Users/$ACCOUNT" PrimaryGroupID "$number" &&
		dscl . -create "/Users/$ACCOUNT" UserShell /usr/bin/false &&
		dscl . -create "/Users/$ACCOUNT" IsHidden 1
}

# own_state: whose the dialling end's folder is. One that does not say is ours, as the name is.
own_state() {
	if [ ! -d "$FOLDER/dials/$NAME" ]; then
		echo none
	elif [ ! -f "$FOLDER/dials/$NAME/instance" ] || [ "$(cat "$FOLDER/dials/$NAME/instance")" = "$INSTANCE" ]; then
		echo ours
	else
		echo other
	fi
}

# logins_in FILE ours|others: one that does not say whose it is is ours, as the name is. A name may hold a dot: it is compared, not searched for.
logins_in() {
	if [ ! -f "$1" ]; then return 0; fi
	awk -v want="$2" -v login="$LOGIN" -v old="$ALIAS" '!/^#/ && NF { if (($NF == login || $NF == old) == (want == "ours")) print }' "$1"
}

# is_shared: other tunnels need the account on this machine
is_shared() {
	for own in "$FOLDER"/dials/*/; do
		if [ -d "$own" ] && { [ "$own" != "$FOLDER/dials/$NAME/" ] || [ "$(own_state)" = other ]; }; then return 0; fi
	done
	[ -n "$(logins_in "$FOLDER/logins/$ACCOUNT/authorized_keys" others)" ]
}

# remove_unused: the account and the folder, once no tunnel of this machine needs them
remove_unused() {
	rmdir "$FOLDER/dials" "$FOLDER/logins" 2>/dev/null
	if [ -d "$FOLDER/dials/" ] || [ -d "$FOLDER/logins/" ]; then return 0; fi
	rmdir "$FOLDER" 2>/dev/null
	# a session that was just ended is there for a moment more, and what a systemd has started for it for ten seconds
	if [ -d /run/systemd/system ] && has loginctl; then loginctl terminate-user "$ACCOUNT" 2>/dev/null; fi
	tries=0
	until remove_account 2>/dev/null; do
		tries=$((tries + 1))
		if [ "$tries" -ge 75 ]; then
			remove_account || die account_not_removed "the account $ACCOUNT could not be removed" "see what runs as it"
		fi
		sleep 0.2
	done
}

remove_account() {
	[ "$(account_state)" = ours ] || return 0
	if is_mac; then
		dscl . -delete "/Users/$ACCOUNT" >&2 || return 1
		if dscl . -read "/Groups/$ACCOUNT" >/dev/null 2>&1; then dscl . -delete "/Groups/$ACCOUNT" >&2; fi
		return
	fi
	if has userdel; then userdel "$ACCOUNT"; else deluser "$ACCOUNT"; fi >&2 || return 1
	if ! grep -q "^$ACCOUNT:" /etc/group; then return 0; fi
	if has groupdel; then groupdel "$ACCOUNT"; else delgroup "$ACCOUNT"; fi >&2
}

# Who listens on the loopback port: the account (ours), somebody else, nobody.
listener() {
	hex=$(printf '%04X' "$LISTEN")
	uid=$(id -u "$ACCOUNT" 2>/dev/null) || uid=none
	cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v port="$hex" -v uid="$uid" '
		$4 == "0A" && $2 ~ (":" port "$") && $2 ~ /^(0100007F|7F000001|0+):/ { found = $8 == uid && $2 !~ /^0+:/ ? "ours" : "foreign" }
		END { print found == "" ? "none" : found }'
}

# await_listener SECONDS
await_listener() {
	last=$(($(date +%s) + $1))
	until [ "$(listener)" = ours ] || [ "$(date +%s)" -ge "$last" ]; do sleep 0.3; done
	tell listener "$(listener)"
}

# Processes of the account in this network whose words hold such a text. A machine without /proc needs none of it.
processes_with() {
	uid=$(id -u "$ACCOUNT" 2>/dev/null) || return 0
	net=$(readlink /proc/self/ns/net 2>/dev/null) || return 0
	grep -lF -e "$1" /proc/[0-9]*/cmdline 2>/dev/null | while IFS= read -r file; do
		pid=${file#/proc/}
		pid=${pid%/cmdline}
		if [ "$(stat -c %u "/proc/$pid" 2>/dev/null)" = "$uid" ] && [ "$(readlink "/proc/$pid/ns/net")" = "$net" ]; then echo "$pid"; fi
	done
}

# end_processes TEXT: those, and waits until they are gone
end_processes() {
	tries=0
	while :; do
		pids=$(processes_with "$1")
		[ -n "$pids" ] || return 0
		[ "$tries" -lt 50 ] || return 1
		# shellcheck disable=SC2086 # numbers
		kill $pids 2>/dev/null
		tries=$((tries + 1))
		sleep 0.1
	done
}
