#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# What the watch does among Nextcloud's files, as root: watch.sh hands this text to a shell there, on the machine itself or in a
# container. Like all of ncpatch's scripts it works inside of the folder it has entered, by `./name`, so that whoever owns that
# folder cannot lead it elsewhere by a link.
#
#     look ROOT CONFIG APP     stat lines, `--`, and what lies in the app's folder
#     wait ROOT CONFIG         why it is not the time for a repair, or nothing
#     version ROOT             the version that people call it by
#     tree FOLDER              what lies in a folder, as in `look`
#     away STATE_FOLDER        `away` where keys are on the key server only
#     swap FOLDER NAME         the new folder beside NAME takes its place
#     clear FOLDER NAME WHAT   takes away `part`, `new` or `old` beside NAME
#     sum FILE                 its SHA-512
#     put FOLDER NAME          stdin becomes what is in that file; its mode and owner stay

set -uf
LC_ALL=C
export LC_ALL
umask 077

there() {
	[ -e "$1" ] || [ -h "$1" ]
}

enter() {
	cd -P "$1" 2>/dev/null || exit 144
}

durable() {
	sync "$@" 2>/dev/null || sync
}

# $1 folder → one line a file, sorted
tree() {
	(
		cd "$1" 2>/dev/null || exit 0
		find . -type f -exec sha256sum {} + 2>/dev/null
		find . ! -type f ! -type d -exec printf 'special  %s\n' {} \;
	) | sort
}

# $1 version.php → 33.0.1.2
code_version() {
	# shellcheck disable=SC2016 # the dollar is PHP's
	sed -nE 's/^\$OC_Version *= *(array *\(|\[)([0-9, ]+)[])].*/\2/p' "$1" 2>/dev/null | tr -d ' ' | tr ',' '.'
}

case $1 in
look)
	stat -c '%n %i %s %Y %Z' "$2/version.php" "$3" 2>/dev/null
	readlink -f "$2"
	stat -c '%n %u:%g %a' "$4" 2>/dev/null
	echo --
	tree "$4"
	;;
wait)
	code=$(code_version "$2/version.php")
	base=$(sed -nE "s/^  'version' => '([0-9.]+)',.*/\1/p" "$3" 2>/dev/null)
	if [ -z "$code" ] || [ -z "$base" ]; then
		echo files # somebody is at work on them
	elif grep -q "^  'maintenance' => true," "$3"; then
		echo maintenance
	elif [ "$code" != "$base" ]; then
		echo upgrade
	else
		set +f
		# shellcheck disable=SC2013 # none of these names has a blank
		for process in $(grep -lzE '^(upgrad[e]|.*updater[.]phar)$' /proc/[0-9]*/cmdline 2>/dev/null); do
			case " $(tr '\0' ' ' <"$process" 2>/dev/null)|$(readlink "${process%/cmdline}/cwd" 2>/dev/null)/" in
			*" $2/occ "* | *" occ "*"|$2/" | *" ./occ "*"|$2/" | *"updater.phar "*"|$2/"*)
				echo running
				break
				;;
			esac
		done
	fi
	;;
version)
	sed -nE "s/^\\\$OC_VersionString = '([0-9A-Za-z.+-]{1,32}).*/\1/p" "$2/version.php" 2>/dev/null | tr -d ' '
	;;
tree)
	tree "$2"
	;;
away)
	[ -f "$2/client.json" ] && tr -d ' \t\r\n' <"$2/client.json" | grep -q '"keys":\["' && echo away
	;;
swap)
	enter "$2"
	new=./.$3.latchkey-watch-new old=./.$3.latchkey-watch-old
	if there "./$3"; then
		# in one step where mv can; else there is a moment without, and the next run goes on from there
		if ! mv --exchange -T "$new" "./$3" 2>/dev/null; then
			rm -rf "$old" && mv "./$3" "$old" && mv "$new" "./$3" || exit 1
		fi
	else
		mv "$new" "./$3" || exit 1
	fi
	durable .
	rm -rf "$new" "$old"
	;;
clear)
	enter "$2"
	rm -rf "./.$3.latchkey-watch-$4"
	;;
sum)
	sha512sum 2>/dev/null <"$2" | sed 's/ .*//'
	;;
put)
	enter "$2"
	new=./.$3.latchkey-watch-new
	[ -f "./$3" ] && [ ! -h "./$3" ] || exit 146
	rm -rf "$new"
	trap 'rm -f "$new"' EXIT
	cat >"$new" && chown "$(stat -c %u:%g "./$3")" "$new" && chmod "$(stat -c %a "./$3")" "$new" && durable "$new" &&
		mv -f "$new" "./$3" && durable .
	;;
*)
	exit 2
	;;
esac
