look() {
	tell system "$(uname -s)"
	tell account "$(account_state)"
	tell sshd "$(command -v sshd || echo none)"
	tell dropins "$(if reads_dropins; then echo yes; else echo no; fi)"
	tell dropin "$(kind_of "$DROPIN" "$DROPIN_MARK")"
	tell otherway "$(if goes_other_way; then echo yes; else echo no; fi)"
	tell logins "$(kind_of "$LOGINS/authorized_keys" "$LOGIN_MARK")"
	tell others "$(others | wc -l | tr -d ' ')"
	tell shared "$(if is_shared; then echo yes; else echo no; fi)"
	tell wanted "$(if port_is_wanted; then echo yes; else echo no; fi)"
	tell unfinished "$(if is_unfinished; then echo yes; else echo no; fi)"
	has sshd || return 0
	tell settled "$(if is_settled; then echo yes; else echo no; fi)"
	if [ -f "$LOGINS/authorized_keys" ]; then own_logins | sed 's/^/login /'; fi
	host_keys
}

# The system's own file may be elsewhere, where /etc has none.
reads_dropins() {
	for file in /etc/ssh/sshd_config /usr/etc/ssh/sshd_config; do
		if [ -f "$file" ]; then
			grep -qi '^[[:space:]]*include[[:space:]=].*sshd_config\.d/\*' "$file"
			return
		fi
	done
	return 1
}

# The drop-in is for tunnels that go the other way, whatever else it says differently: one of an earlier version is not.
goes_other_way() {
	way=$(grep AllowTcpForwarding "$DROPIN" 2>/dev/null) || return 1
	! printf '%s\n' "$DROPIN_TEXT" | grep -qxF -e "$way"
}

# Logins of other tunnels.
others() { logins_in "$LOGINS/authorized_keys" others; }

own_logins() { logins_in "$LOGINS/authorized_keys" ours; }

is_unfinished() { there "$LOGINS/unfinished-$LOGIN" || there "$LOGINS/unfinished-$NAME"; }

# port_is_wanted: where this end listens, another tunnel may listen on the same port.
port_is_wanted() { [ "$LISTENS" = yes ] && others | grep -qF "permitlisten=\"127.0.0.1:$LISTEN\""; }

has_login() { [ -n "$(own_logins)" ]; }

# sshd wants a folder that its service makes, even to read its own file.
sshd_says() {
	if ! said=$("$(command -v sshd)" "$@" 2>&1); then
		case $said in
			*"privilege separation directory"*)
				mkdir -m 755 /run/sshd
				said=$("$(command -v sshd)" "$@" 2>&1) || return 1
				;;
			*) return 1 ;;
		esac
	fi
	printf '%s\n' "$said"
}

# Everything that sshd is to hold the account to is what it says that it would.
is_settled() {
	[ "$(account_state)" = ours ] || return 1
	effective=$(sshd_says -T -C "user=$ACCOUNT,host=localhost,addr=127.0.0.1,laddr=127.0.0.1,lport=22") || return 1
	while IFS= read -r line; do
		printf '%s\n' "$effective" | grep -qxF -e "$line" || return 1
	done <<SETTINGS
$EFFECTIVE
SETTINGS
}

# The public halves, type and base64.
host_keys() {
	sshd_says -T | sed -n 's/^hostkey //p' | while IFS= read -r file; do
		if [ -f "$file.pub" ]; then cut -d ' ' -f 1,2 <"$file.pub"; else ssh-keygen -y -f "$file" </dev/null 2>/dev/null | cut -d ' ' -f 1,2; fi
	done | sed 's/^/hostkey /'
}

admit() {
	if [ "$(kind_of "$DROPIN" "$DROPIN_MARK")" = foreign ]; then die tunnel_foreign "$DROPIN is not Latchkey's"; fi
	if [ "$(kind_of "$LOGINS/authorized_keys" "$LOGIN_MARK")" = foreign ]; then die tunnel_foreign "$LOGINS/authorized_keys is not Latchkey's"; fi
	make_account
	folder "$LOGINS"
	if ! has_login; then : >"$LOGINS/unfinished-$LOGIN"; fi
	put "$LOGINS/authorized_keys" 644 "$(printf '%s\n' "$LOGIN_MARK"; others; printf '%s\n' "$LINE")"
	CHANGED=no
	old=$(if [ -f "$DROPIN" ]; then cat "$DROPIN"; fi)
	folder "${DROPIN%/*}"
	put "$DROPIN" 644 "$DROPIN_TEXT"
	if ! sshd_says -t >&2; then
		put_back
		die sshd_refuses "sshd does not take $DROPIN" "see what it says: sshd -t"
	fi
	if ! is_settled; then
		put_back
		die sshd_overrides "another part of sshd's configuration says otherwise about the account $ACCOUNT" \
			"see: sshd -T -C user=$ACCOUNT,host=localhost,addr=127.0.0.1; what is to be there is in $DROPIN as ncpatch writes it"
	fi
	sync
	if [ "$CHANGED" = yes ]; then reload || die sshd_not_reloaded "sshd could not be told of $DROPIN" "reload it by hand, then run the same again"; fi
	host_keys
}

put_back() {
	if [ -n "$old" ]; then put "$DROPIN" 644 "$old"; else rm -f "$DROPIN"; fi
}

# One that is started for each connection reads its files each time.
reload() {
	if [ -d /run/systemd/system ] && has systemctl; then
		for unit in ssh.service sshd.service; do
			if systemctl is-active --quiet "$unit"; then
				systemctl reload "$unit" >&2
				return
			fi
		done
	elif [ -d /run/openrc ] && has rc-service && rc-service sshd status >/dev/null 2>&1; then
		rc-service sshd reload >&2
		return
	fi
	pidfile=$(sshd_says -T | sed -n 's/^pidfile //p')
	if [ -f "$pidfile" ] && IFS= read -r pid <"$pidfile" && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = sshd ]; then kill -HUP "$pid"; fi
}

finish() {
	rm -f "$LOGINS/unfinished-$LOGIN" "$LOGINS/unfinished-$NAME"
	sync
}

down() {
	if [ "$(kind_of "$LOGINS/authorized_keys" "$LOGIN_MARK")" = ours ]; then
		rest=$(others)
		if [ -n "$rest" ]; then
			put "$LOGINS/authorized_keys" 644 "$LOGIN_MARK
$rest"
		else
			rm -f "$LOGINS/authorized_keys"
		fi
	fi
	rm -f "$LOGINS/unfinished-$LOGIN" "$LOGINS/unfinished-$NAME" "$LOGINS/authorized_keys.new"
	# what another run began and never ended keeps nothing here once nobody logs in
	if ! there "$LOGINS/authorized_keys"; then rm -f "$LOGINS"/unfinished-*; fi
	rmdir "$LOGINS" 2>/dev/null
	if [ ! -d "$LOGINS" ]; then
		if [ "$(kind_of "$DROPIN" "$DROPIN_MARK")" = ours ]; then
			rm -f "$DROPIN" "$DROPIN.new"
			reload || die sshd_not_reloaded "sshd could not be told that $DROPIN is gone" "reload it by hand"
		fi
		end_sessions
	fi
	remove_unused
	sync
}

# What is open stays open, whatever sshd has read since.
end_sessions() {
	if ! { end_processes "sshd: $ACCOUNT" && end_processes "sshd-session: $ACCOUNT"; }; then die tunnel_not_stopped "a session of $ACCOUNT does not end"; fi
}

main() {
	case $1 in
		look) look ;;
		admit) admit ;;
		finish) finish ;;
		down) down ;;
		listener) tell listener "$(listener)" ;;
		await) await_listener "$2" ;;
		down-unfinished) if is_unfinished || ! has_login; then down; fi ;;
		*) exit 2 ;;
	esac
}

main "$@" </dev/null
exit $?
