look() {
	tell init "$(init)"
	tell own "$(own_state)"
	tell shared "$(if is_shared; then echo yes; else echo no; fi)"
	tell wanted "$(if port_is_wanted; then echo yes; else echo no; fi)"
	tell ssh "$(command -v ssh || echo none)"
	tell keygen "$(command -v ssh-keygen || echo none)"
	tell account "$(account_state)"
	tell key "$(public_key)"
	tell unfinished "$(if there "$OWN/unfinished"; then echo yes; else echo no; fi)"
}

init() {
	if is_mac; then
		echo launchd
	elif [ -d /run/systemd/system ] && has systemctl; then
		echo systemd
	elif [ -d /run/openrc ] && has rc-service && has supervise-daemon; then
		echo openrc
	elif [ -d /etc/cron.d ] && has flock && has setsid; then
		echo cron
	else
		echo none
	fi
}

# type and base64, where there is a whole pair
public_key() {
	if [ -f "$OWN/key" ] && [ -f "$OWN/key.pub" ]; then cut -d ' ' -f 1,2 <"$OWN/key.pub"; else echo none; fi
}

check() {
	tell service "$(service_state)"
	same=yes
	is_service_text "$SERVICE_FILE" "$SERVICE_TEXT" || same=no
	[ -z "$KEEPER_FILE" ] || is_service_text "$KEEPER_FILE" "$KEEPER_TEXT" || same=no
	is_text "$OWN/known_hosts" "$KNOWN_HOSTS" || same=no
	tell same "$same"
	tell running "$(if running; then echo yes; else echo no; fi)"
}

is_text() { [ -f "$1" ] && [ "$(cat "$1"; echo .)" = "$2
." ]; }

# The same under the mark that does not say whose it is.
is_service_text() { is_text "$1" "$2" || is_text "$1" "$(printf '%s\n' "$2" | sed "s/ of $INSTANCE; /; /")"; }

# service_state: none, ours, that of another Nextcloud's tunnel of this name, or somebody else's
service_state() {
	kind=$(kind_of "$SERVICE_FILE" "$MARK")
	if [ "$kind" = foreign ]; then kind=$(kind_of "$SERVICE_FILE" "$OLD_MARK"); fi
	if [ "$kind" = foreign ] && [ "$(kind_of "$SERVICE_FILE" "${OLD_MARK%%;*} of ")" = ours ]; then kind=other; fi
	echo "$kind"
}

refuse_other() {
	if [ "$(own_state)" = other ]; then
		die tunnel_name_taken "there is an SSH tunnel called $NAME already, of another Nextcloud" "give this one another name: \"client\""
	fi
}

# port_is_wanted: where this end listens, another tunnel of its is to listen on the same port.
port_is_wanted() {
	[ "$LISTENS" = yes ] || return 1
	for file in /etc/systemd/system/latchkey-tunnel-*.service /etc/init.d/latchkey-tunnel-* "${OWN%/*}"/*/keep; do
		if [ -f "$file" ] && grep -qF "127.0.0.1:$LISTEN:" "$file" && ! grep -qF -e "$MARK" -e "$OLD_MARK" "$file"; then return 0; fi
	done
	return 1
}

running() {
	case $INIT in
		systemd) systemctl is-enabled --quiet "$UNIT" >/dev/null 2>&1 && systemctl is-active --quiet "$UNIT" >/dev/null 2>&1 ;;
		openrc) rc-service "$UNIT" status >/dev/null 2>&1 ;;
		launchd) launchctl print "system/$UNIT" >/dev/null 2>&1 ;;
		cron) [ -n "$(processes_with "$KEEPER_FILE")" ] ;;
	esac
}

# The private key is made here, and nothing but ssh ever reads it.
prepare() {
	refuse_other
	make_account
	if [ ! -d "$OWN" ]; then
		folder "${OWN%/*}"
		rm -rf "$OWN.new"
		if ! { mkdir -m 755 "$OWN.new" && : >"$OWN.new/unfinished" && printf '%s\n' "$INSTANCE" >"$OWN.new/instance" && mv "$OWN.new" "$OWN"; }; then die not_written "$OWN could not be made"; fi
	fi
	if [ "$(public_key)" = none ]; then
		rm -f "$OWN/key" "$OWN/key.pub" "$OWN/key.new" "$OWN/key.new.pub"
		ssh-keygen -q -t ed25519 -N '' -C "$LOGIN" -f "$OWN/key.new" >&2 || die key_not_made "ssh-keygen made no key"
		if ! { mv "$OWN/key.new.pub" "$OWN/key.pub" && mv "$OWN/key.new" "$OWN/key"; }; then die not_written "$OWN/key could not be written"; fi
	fi
	put "$OWN/instance" 644 "$INSTANCE"
	if ! { chown "$ACCOUNT" "$OWN/key" && chmod 600 "$OWN/key"; }; then die not_written "$OWN/key cannot be given to $ACCOUNT"; fi
	sync
	tell key "$(public_key)"
}

# as_account LINE: a line of shell as the account, which has no shell of its own
as_account() {
	if is_mac; then
		sudo -n -u "$ACCOUNT" /bin/sh -c "cd /; $1"
	elif has runuser; then
		runuser -u "$ACCOUNT" -- /bin/sh -c "cd /; $1"
	else
		su -s /bin/sh -c "cd /; $1" "$ACCOUNT"
	fi
}

hosts() {
	put "$OWN/known_hosts" 644 "$KNOWN_HOSTS"
}

# Logs in once, and answers what came of it.
trial() {
	hosts
	said=$(as_account "$TRIAL" 2>&1)
	case $said in
		*"Authenticated to "*) tell trial in ;;
		*"Host key verification failed"* | *"no hostkey alg"* | *"no matching host key"*) tell trial other-host ;;
		*"Permission denied"* | *"Too many authentication failures"*) tell trial denied ;;
		*"Could not resolve"* | *"not known"* | *"nodename nor servname"*) tell trial no-name ;;
		*"Connection refused"*) tell trial refused ;;
		*"timed out"* | *"No route to host"* | *"Network is unreachable"*) tell trial silent ;;
		*) tell trial cut ;;
	esac
	printf '%s\n' "$said" | tail -n 20 >&2
}

dial() {
	case $(service_state) in foreign | other) die tunnel_foreign "$SERVICE_FILE is not this tunnel's" ;; esac
	hosts
	if [ -n "$KEEPER_FILE" ]; then put "$KEEPER_FILE" "$KEEPER_MODE" "$KEEPER_TEXT"; fi
	put "$SERVICE_FILE" "$SERVICE_MODE" "$SERVICE_TEXT"
	sync
	if running && [ "$CHANGED" = no ]; then return 0; fi
	start || die tunnel_not_started "$INIT could not start $UNIT"
}

start() {
	case $INIT in
		systemd)
			systemctl daemon-reload >&2 && systemctl enable "$UNIT" >&2 && systemctl restart "$UNIT" >&2
			;;
		openrc)
			if ! rc-update show default 2>/dev/null | grep -q "^ *$UNIT *|"; then rc-update add "$UNIT" default >&2 || return 1; fi
			rc-service "$UNIT" restart >&2
			;;
		launchd)
			# launchd writes there as the account
			if ! { chown 0:0 "$SERVICE_FILE" && : >"/var/log/$UNIT.log" && chown "$ACCOUNT" "/var/log/$UNIT.log"; }; then return 1; fi
			unload && launchctl bootstrap system "$SERVICE_FILE" >&2
			;;
		cron)
			end_processes "$OWN/" && as_account "setsid '$KEEPER_FILE' </dev/null >/dev/null 2>&1 &" && sleep 0.3
			;;
	esac
}

# launchd says that it is about to, and is done a moment later.
unload() {
	if ! running; then return 0; fi
	launchctl bootout "system/$UNIT" >&2
	tries=0
	while running; do
		tries=$((tries + 1))
		[ "$tries" -lt 75 ] || return 1
		sleep 0.2
	done
}

finish() {
	rm -f "$OWN/unfinished"
	sync
}

down() {
	if [ "$(own_state)" = other ]; then return 0; fi
	if [ "$(service_state)" = ours ]; then
		case $INIT in
			systemd) systemctl disable --now "$UNIT" >&2 ;;
			openrc)
				rc-service "$UNIT" stop >&2
				rc-update del "$UNIT" default >&2
				;;
			launchd) unload && rm -f "/var/log/$UNIT.log" ;;
			cron) rm -f "$SERVICE_FILE" ;;
		esac || die tunnel_not_stopped "$INIT could not stop $UNIT"
		rm -f "$SERVICE_FILE"
		if [ "$INIT" = systemd ]; then
			systemctl daemon-reload >&2
			systemctl reset-failed "$UNIT" 2>/dev/null
		fi
	fi
	if [ "$INIT" = cron ]; then end_processes "$OWN/" || die tunnel_not_stopped "$UNIT does not end"; fi
	rm -rf "$OWN" "$OWN.new"
	remove_unused
	sync
}

main() {
	case $1 in
		look) look ;;
		check) check ;;
		prepare) prepare ;;
		trial) trial ;;
		dial) dial ;;
		finish) finish ;;
		down) down ;;
		listener) tell listener "$(listener)" ;;
		await) await_listener "$2" ;;
		down-unfinished) if there "$OWN/unfinished" || [ ! -d "$OWN" ]; then down; fi ;;
		*) exit 2 ;;
	esac
}

main "$@" </dev/null
exit $?
