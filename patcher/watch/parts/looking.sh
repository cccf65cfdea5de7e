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
