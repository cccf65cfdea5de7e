#!/bin/sh
# Mounts a changed copy over a file of Nextcloud that cannot be written, or takes it away.
#   cover.sh cover|uncover FOLDER TARGET
# FOLDER holds `copy` and `original.sha512`, the hash of the file that the copy was made from. TARGET may lead through
# links (/snap/nextcloud/current/...); what it leads to is looked at anew each time. A file with another hash, as every new
# revision brings it, is never covered: the copy would be older code. Where we mounted is noted in FOLDER/mounted before.
set -u
umask 077
export LC_ALL=C
PATH=/usr/sbin:/usr/bin:/sbin:/bin

order=${1:?} folder=${2:?} target=${3:?}
mounted=$folder/mounted

say() {
	printf 'latchkey: %s\n' "$1" >&2
}

# Field 5 of each line is the place; blanks and backslashes are octal there.
is_mounted() {
	wanted=$(printf '%s' "$1" | sed -e 's/\\/\\134/g' -e 's/ /\\040/g' -e 's/	/\\011/g')
	while read -r _ _ _ _ place _; do
		[ "$place" = "$wanted" ] && return 0
	done </proc/self/mountinfo
	return 1
}

# Takes away what lies on a path, also when something still has the old file open.
take_off() {
	while is_mounted "$1"; do
		umount -- "$1" 2>/dev/null || umount -l -- "$1" || return 1
	done
}

# Everywhere we mounted, except for one path.
uncover() {
	[ -f "$mounted" ] || return 0
	failed=0
	while IFS= read -r old; do
		[ "$old" = "$1" ] || take_off "$old" || failed=1
	done <"$mounted"
	return "$failed"
}

hash_of() {
	sum=$(sha512sum <"$1") || return 1
	printf '%s' "${sum%% *}"
}

cover() {
	path=$(readlink -f -- "$target")
	if ! [ -f "$path" ]; then
		say "$target is not there"
		return 1
	fi
	uncover "$path" || say 'what was covered before is still in use'
	if is_mounted "$path"; then
		cmp -s -- "$folder/copy" "$path" && return 0
		take_off "$path" || return 1
	fi
	wanted=$(cat "$folder/original.sha512")
	if [ -z "$wanted" ] || [ "$(hash_of "$path")" != "$wanted" ]; then
		say "$path is not the file that the copy was made from; run: ncpatch apply"
		return 1
	fi
	# before it is done, and added to, not replaced: an old one may still be in use
	grep -qxF -e "$path" "$mounted" 2>/dev/null || printf '%s\n' "$path" >>"$mounted" || return 1
	mount --bind -- "$folder/copy" "$path" || return 1
	mount -o remount,bind,ro -- "$path" || {
		take_off "$path"
		return 1
	}
}

case $order in
cover) cover ;;
uncover) uncover '' && rm -f -- "$mounted" ;;
*)
	say 'the order must be cover or uncover'
	exit 2
	;;
esac
