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
