#!/bin/sh
# Installs Latchkey, upgrades it, goes back to the version before and takes it away. Linux and macOS.
# Versions lie beside each other in /opt/latchkey; "current" leads to the one in use, "previous" to the one before.
PREFIX=/opt/latchkey
BIN=/usr/local/bin
PROGRAMS='keyserver ncpatch wghub wgnode'
ACCOUNT=latchkey
UNITS=/etc/systemd/system
PLISTS=/Library/LaunchDaemons
CRON=/etc/cron.d

# @@part say@@

# @@part undo@@

MODE=install
PURGE=''
TARBALL=''
NODE=''
RUNNING=''

usage() {
  cat <<USAGE
usage: sh install.sh [TARBALL] [--node FILE]
       sh install.sh --rollback
       sh install.sh --uninstall [--purge]
       sh install.sh --help

Puts the release TARBALL, or the unpacked one that this script lies in, into
$PREFIX/VERSION, makes it the one in use, makes the account "$ACCOUNT"
and links $PROGRAMS into $BIN. What was done is undone
when a step fails; a version that does not start is not taken into use.

  --node FILE  the Node that runs it, where the release has none in it
  --rollback   makes the version before the one in use again
  --uninstall  takes the programs away; data and account stay
  --purge      takes the account and its data directory away too
USAGE
}

wrong_usage() {
  printf 'error: %s\n' "$1" >&2
  hint "--help says what there is"
  exit 2
}

# refuse MESSAGE HINT: it would be unsafe.
refuse() {
  printf 'error: %s\n' "$1" >&2
  hint "$2"
  if [ -n "$UNDO" ]; then roll_back; fi
  exit 3
}

read_options() {
  while [ $# -gt 0 ]; do
    case $1 in
      --rollback | --uninstall)
        if [ "$MODE" != install ]; then wrong_usage "one thing at a time"; fi
        MODE=${1#--}
        ;;
      --purge) PURGE=yes ;;
      --node)
        if [ $# -lt 2 ]; then wrong_usage "--node needs a file"; fi
        NODE=$2
        shift
        ;;
      --node=*) NODE=${1#--node=} ;;
      --help | -h)
        usage
        exit 0
        ;;
      -*) wrong_usage "there is no option $1" ;;
      *)
        if [ -n "$TARBALL" ]; then wrong_usage "one release at a time"; fi
        TARBALL=$1
        ;;
    esac
    shift
  done
  if [ -n "$PURGE" ] && [ "$MODE" != uninstall ]; then wrong_usage "--purge goes with --uninstall"; fi
  if [ -n "$TARBALL$NODE" ] && [ "$MODE" != install ]; then wrong_usage "--$MODE takes nothing else"; fi
}

# Checks --

# check_sums FOLDER LIST: each file of the list is in the folder as it was made.
check_sums() (
  cd "$1" || exit 1
  if has sha256sum; then
    sha256sum -c "$2" >/dev/null 2>&1
  else
    shasum -a 256 -c "$2" >/dev/null 2>&1
  fi
)

# check_whole FOLDER: every file of the release is there as it was made, and nothing else.
check_whole() {
  if [ ! -s "$1/SHA256SUMS" ] || ! check_sums "$1" SHA256SUMS; then
    die "the release is damaged: its files are not those of its SHA256SUMS" "get it again"
  fi
  sed 's/^[0-9a-f]*  //' "$1/SHA256SUMS" | sort >"$WORK/listed"
  (cd "$1" && find . ! -type d ! -path ./SHA256SUMS | sed 's|^\./||' | sort) >"$WORK/found"
  if ! cmp -s "$WORK/listed" "$WORK/found"; then
    die "the release has files that its SHA256SUMS does not name" "get it again"
  fi
}

# is_fit HAS WANTED: a Node of the same line, and not older.
is_fit() {
  have=${1#v}
  if [ "${have%%.*}" != "${2%%.*}" ]; then return 1; fi
  have=${have#*.}
  want=${2#*.}
  case $have in
    *.*.* | .* | *. | *[!0-9.]*) return 1 ;;
    *.*) ;;
    *) return 1 ;;
  esac
  if [ "${have%%.*}" -eq "${want%%.*}" ]; then
    [ "${have#*.}" -ge "${want#*.}" ]
  else
    [ "${have%%.*}" -gt "${want%%.*}" ]
  fi
}

# find_node: NODE is the one that will run it, '' for the one within the release.
find_node() {
  if [ -z "$NODE" ] && [ -f "$STAGE/node/bin/node" ]; then
    "$STAGE/node/bin/node" --version >/dev/null 2>&1 || die "the Node in this release does not run on this machine" "take the release without one"
    return 0
  fi
  wanted=$(cat "$STAGE/NODE")
  seen=''
  if [ -n "$NODE" ]; then
    case $NODE in
      "$PREFIX"/*) refuse "$NODE goes when its version does" "name one that stays, or take the release that has it within" ;;
      */Cellar/*/*/*)
        keg=${NODE#*/Cellar/}
        lasting=${NODE%%/Cellar/*}/opt/${keg%%/*}/bin/node
        refuse "$NODE goes when Homebrew upgrades it" "name the link that stays: --node $lasting"
        ;;
    esac
    set -- "$NODE"
  else
    # of Homebrew, which is elsewhere on Apple silicon, the one that stays with its line: "node" goes on to the next
    keg=opt/node@${wanted%%.*}/bin/node
    set -- "/opt/homebrew/$keg" "/usr/local/$keg" "$(command -v node)" /usr/local/bin/node /opt/homebrew/bin/node /usr/bin/node
  fi
  for candidate; do
    if [ ! -x "$candidate" ]; then continue; fi
    version=$("$candidate" --version 2>/dev/null) || continue
    case $seen in *"$candidate "*) continue ;; esac
    seen="$seen, $candidate is $version"
    if ! is_fit "$version" "$wanted"; then continue; fi
    case $candidate in
      /*) NODE=$candidate ;;
      *) NODE=$(pwd)/$candidate ;;
    esac
    case $NODE in
      /root/* | /home/* | /Users/*) warn "$NODE lies in a home directory: services under another account may not reach it" ;;
    esac
    return 0
  done
  die "this needs Node $wanted or a later ${wanted%%.*}${seen:-, and there is none here}" "install it (https://nodejs.org), name it with --node FILE, or take the release that has it within"
}

# Links of others are not touched.
check_links() {
  for program in $PROGRAMS; do
    if is_our_link "$BIN/$program"; then continue; fi
    if [ -e "$BIN/$program" ] || [ -L "$BIN/$program" ]; then
      refuse "$BIN/$program is there already, and not of this" "move it away first"
    fi
  done
}

is_our_link() {
  [ -L "$1" ] && [ "$(readlink "$1")" = "$PREFIX/current/bin/${1##*/}" ]
}

# Steps, each with its undo --

make_folder() {
  if [ -d "$1" ]; then return 0; fi
  arm rmdir "$1"
  cmd mkdir -p "$1" || die "cannot make $1"
}

# stage_release: the release is in STAGE, and whole.
stage_release() {
  STAGE=$PREFIX/.new
  arm rm -rf "$STAGE"
  rm -rf "$STAGE"
  mkdir "$STAGE" || die "cannot make $STAGE"
  if [ -n "$TARBALL" ]; then
    unpack
  else
    cmd cp -R "$SOURCE/." "$STAGE" || die "cannot copy $SOURCE to $STAGE"
  fi
  chown -R 0:0 "$STAGE" || die "cannot give $STAGE to root"
  chmod -R go-w "$STAGE"
  check_whole "$STAGE"
  VERSION=$(cat "$STAGE/VERSION")
  case $VERSION in
    '' | [!0-9]* | *[!0-9A-Za-z.+-]*) die "\"$VERSION\" is no version" ;;
  esac
}

unpack() {
  if [ ! -r "$TARBALL" ]; then die "cannot read $TARBALL"; fi
  case $TARBALL in
    */*) beside=${TARBALL%/*} ;;
    *) beside=. ;;
  esac
  if [ -f "$TARBALL.sha256" ] && ! check_sums "$beside" "${TARBALL##*/}.sha256"; then
    die "the release is damaged: $TARBALL is not what $TARBALL.sha256 says" "get it again"
  fi
  printf '[#] tar -xzf %s\n' "$TARBALL" >&2
  mkdir "$STAGE/in" || die "cannot make $STAGE/in"
  tar -xzf "$TARBALL" -C "$STAGE/in" 2>"$WORK/tar" || die "the release is damaged: $TARBALL cannot be unpacked" "get it again"
  for folder in "$STAGE"/in/*; do
    case ${folder##*/} in
      latchkey-[0-9]*) mv "$folder" "$PREFIX/.unpacked" ;;
      *) die "$TARBALL is no release" ;;
    esac
  done
  arm rm -rf "$PREFIX/.unpacked"
  rm -rf "$STAGE"
  mv "$PREFIX/.unpacked" "$STAGE" || die "cannot move the release to $STAGE"
}

# place_release: it lies in PREFIX/VERSION, with a Node, and its programs start.
place_release() {
  NEW=$PREFIX/$VERSION
  if [ -d "$NEW" ]; then
    if ! cmp -s "$NEW/SHA256SUMS" "$STAGE/SHA256SUMS"; then
      refuse "$NEW is another build of that version" "give this one a version of its own, or take the other away"
    fi
    check_sums "$NEW" SHA256SUMS || refuse "$NEW is not as it was installed" "see what was changed there; --uninstall, and install it anew"
    rm -rf "$STAGE"
  else
    if [ -n "$NODE" ]; then
      rm -rf "$STAGE/node"
      mkdir -p "$STAGE/node/bin"
      ln -s "$NODE" "$STAGE/node/bin/node" || die "cannot link $NODE"
    fi
    arm rm -rf "$NEW"
    cmd mv "$STAGE" "$NEW" || die "cannot move the release to $NEW"
  fi
  check_starts "$NEW"
}

check_starts() {
  for program in $PROGRAMS; do
    said=$("$1/bin/$program" --version 2>"$WORK/said") || said=''
    if [ "$said" != "${1##*/}" ]; then
      cat "$WORK/said" >&2
      die "$program of ${1##*/} does not start here"
    fi
  done
}

make_account() {
  if id "$ACCOUNT" >/dev/null 2>&1; then return 0; fi
  if [ "$SYSTEM" = Darwin ]; then
    make_account_macos
  elif has useradd; then
    arm remove_account
    cmd useradd --system --user-group --home-dir "$DATA" --no-create-home --shell /usr/sbin/nologin "$ACCOUNT" || die "cannot make the account $ACCOUNT"
  elif has adduser; then
    arm remove_account
    cmd addgroup -S "$ACCOUNT" || die "cannot make the group $ACCOUNT"
    cmd adduser -S -D -H -h "$DATA" -s /sbin/nologin -G "$ACCOUNT" "$ACCOUNT" || die "cannot make the account $ACCOUNT"
  else
    die "there is neither useradd nor adduser here" "make an account $ACCOUNT yourself, then try again"
  fi
}

# dscl(1): the first number below 500, which is a person's, that neither an account nor a group has.
make_account_macos() {
  number=300
  while dscl . -list /Users UniqueID | grep -q "[[:space:]]$number\$" || dscl . -list /Groups PrimaryGroupID | grep -q "[[:space:]]$number\$"; do
    number=$((number + 1))
    if [ "$number" -ge 500 ]; then die "there is no number left for the account $ACCOUNT"; fi
  done
  arm remove_account
  {
    cmd dscl . -create "/Groups/$ACCOUNT" &&
      cmd dscl . -create "/Groups/$ACCOUNT" PrimaryGroupID "$number" &&
      cmd dscl . -create "/Users/$ACCOUNT" &&
      cmd dscl . -create "/Users/$ACCOUNT" UniqueID "$number" &&
      cmd dscl . -create "/Users/$ACCOUNT" PrimaryGroupID "$number" &&
      cmd dscl . -create "/Users/$ACCOUNT" NFSHomeDirectory "$DATA" &&
      cmd dscl . -create "/Users/$ACCOUNT" UserShell /usr/bin/false &&
      cmd dscl . -create "/Users/$ACCOUNT" IsHidden 1
  } || die "cannot make the account $ACCOUNT"
}

remove_account() {
  if [ "$SYSTEM" = Darwin ]; then
    if dscl . -read "/Users/$ACCOUNT" >/dev/null 2>&1; then cmd dscl . -delete "/Users/$ACCOUNT"; fi
    if dscl . -read "/Groups/$ACCOUNT" >/dev/null 2>&1; then cmd dscl . -delete "/Groups/$ACCOUNT"; fi
    return 0
  fi
  if id "$ACCOUNT" >/dev/null 2>&1; then
    if has userdel; then cmd userdel "$ACCOUNT"; else cmd deluser "$ACCOUNT"; fi || return 1
  fi
  if grep -q "^$ACCOUNT:" /etc/group; then
    if has groupdel; then cmd groupdel "$ACCOUNT"; else cmd delgroup "$ACCOUNT"; fi
  fi
}

# An account whose home is the data directory was made here.
is_our_account() {
  if [ "$SYSTEM" = Darwin ]; then
    [ "$(dscl . -read "/Users/$ACCOUNT" NFSHomeDirectory 2>/dev/null)" = "NFSHomeDirectory: $DATA" ]
  else
    grep -q "^$ACCOUNT:[^:]*:[^:]*:[^:]*:[^:]*:$DATA:" /etc/passwd
  fi
}

make_data() {
  if [ -d "$DATA" ]; then return 0; fi
  make_folder "${DATA%/*}"
  arm rmdir "$DATA"
  cmd mkdir -m 700 "$DATA" || die "cannot make $DATA"
  chown "$ACCOUNT:$(id -gn "$ACCOUNT")" "$DATA" || die "cannot give $DATA to $ACCOUNT"
}

# point NAME VERSION: in one step; a link is either the old one or the new one. With no VERSION it is taken away.
point() {
  if [ -z "$2" ]; then
    rm -f "$PREFIX/$1" "$PREFIX/.$1"
    return
  fi
  rm -f "$PREFIX/.$1"
  ln -s "$2" "$PREFIX/.$1" || return 1
  "$PREFIX/$2/node/bin/node" -e 'require("node:fs").renameSync(process.argv[1], process.argv[2])' "$PREFIX/.$1" "$PREFIX/$1"
  [ "$(led_to "$1")" = "$2" ]
}

led_to() { readlink "$PREFIX/$1" 2>/dev/null; }

# switch_to VERSION: with what runs of it, which has to go on.
switch_to() {
  WAS=$(led_to current)
  BEFORE=$(led_to previous)
  find_running
  arm restart_running
  arm switch_back
  printf '[#] %s/current -> %s\n' "$PREFIX" "$1" >&2
  point current "$1" || die "cannot switch to $1"
  if [ "$WAS" != "$1" ]; then point previous "$WAS" || die "cannot keep $WAS"; fi
  restart_running
  if ! is_running; then die "$FAILED does not run with $1"; fi
}

switch_back() {
  point current "$WAS" && point previous "$BEFORE"
}

# services FOLDER ENDING: files there that start something of ours.
services() {
  grep -l "$PREFIX/" "$1"/*"$2" 2>/dev/null
}

root_crontab() {
  if has crontab && crontab -l 2>/dev/null | grep -v '^[[:space:]]*#' | grep -q "$PREFIX/"; then echo 'crontab of root'; fi
}

find_running() {
  RUNNING=''
  if [ ! -d /run/systemd/system ] || ! has systemctl; then return 0; fi
  for file in $(services "$UNITS" .service); do
    unit=${file##*/}
    if systemctl is-active --quiet "$unit"; then RUNNING="$RUNNING $unit"; fi
  done
}

restart_running() {
  for unit in $RUNNING; do cmd systemctl restart "$unit" || return 0; done
}

# A service that ends at once is started again by systemd, and is "activating" in between.
is_running() {
  FAILED=''
  if [ -z "$RUNNING" ]; then return 0; fi
  sleep "${LATCHKEY_SETTLE:-6}"
  for unit in $RUNNING; do
    if ! systemctl is-active --quiet "$unit"; then
      FAILED=$unit
      return 1
    fi
  done
}

make_links() {
  make_folder "$BIN"
  for program in $PROGRAMS; do
    if [ -L "$BIN/$program" ]; then continue; fi
    arm rm -f "$BIN/$program"
    cmd ln -s "$PREFIX/current/bin/$program" "$BIN/$program" || die "cannot link $program into $BIN"
  done
}

# Only the version in use and the one before it stay.
tidy() {
  current=$(led_to current)
  previous=$(led_to previous)
  for folder in "$PREFIX"/[0-9]*; do
    case ${folder##*/} in
      "$current" | "$previous") ;;
      *) cmd rm -rf "$folder" ;;
    esac
  done
}

# What there is to do --

install_release() {
  if [ -z "$TARBALL" ]; then
    SOURCE=$(cd "$(dirname "$0")" && pwd -P) || die "cannot find the release"
    case $SOURCE/ in
      "$PREFIX"/*) wrong_usage "this release is installed already: give it the TARBALL of another one" ;;
    esac
    if [ ! -f "$SOURCE/SHA256SUMS" ]; then wrong_usage "there is no release beside this script: give it a TARBALL"; fi
  fi
  check_links
  make_folder "${PREFIX%/*}"
  make_folder "$PREFIX"
  stage_release
  find_node
  place_release
  if [ "$(led_to current)" = "$VERSION" ]; then
    STATE=" already"
  else
    make_account
    make_data
    STATE=''
    switch_to "$VERSION"
  fi
  make_links
  keep
  tidy
  say "Latchkey $VERSION is in use$STATE; its programs are in $BIN: $PROGRAMS"
  if [ -n "$RUNNING" ]; then say "restarted:$RUNNING"; fi
  if [ "$SYSTEM" = Darwin ] && services "$PLISTS" .plist >"$WORK/plists"; then
    say "what runs goes on with the old version until: launchctl kickstart -k system/NAME, for $(tr '\n' ' ' <"$WORK/plists")"
  fi
  previous=$(led_to previous)
  if [ -n "$previous" ]; then say "the version before, $previous, is still there: sh $PREFIX/current/install.sh --rollback"; fi
}

roll_to_previous() {
  previous=$(led_to previous)
  if [ -z "$previous" ]; then die "there is no version before this one in $PREFIX"; fi
  check_starts "$PREFIX/$previous"
  switch_to "$previous"
  keep
  say "Latchkey $previous is in use again; $WAS is the one before now"
  say "data that $WAS has changed stay as they are: a version refuses data that it does not know"
}

uninstall() {
  used=$({ services "$UNITS" .service; services "$PLISTS" .plist; services "$CRON" ''; root_crontab; } | tr '\n' ' ')
  if [ -n "$used" ]; then
    refuse "there are services that start it: $used" "disable and stop them (systemctl disable --now NAME, launchctl bootout system/NAME), remove their files or lines of crontab -e, then try again"
  fi
  done_something=''
  for program in $PROGRAMS; do
    if is_our_link "$BIN/$program"; then
      cmd rm -f "$BIN/$program" || die "cannot remove $BIN/$program"
      done_something=yes
    fi
  done
  if [ -d "$PREFIX" ]; then
    cmd rm -rf "$PREFIX" || die "cannot remove $PREFIX"
    done_something=yes
  fi
  if [ -n "$PURGE" ]; then
    if [ -d "$DATA" ]; then
      cmd rm -rf "$DATA" || die "cannot remove $DATA"
      done_something=yes
    fi
    if is_our_account; then
      remove_account || die "cannot remove the account $ACCOUNT"
      done_something=yes
    fi
  fi
  if [ -z "$done_something" ]; then
    say "there is nothing of Latchkey here, so nothing was changed"
    return 0
  fi
  say "Latchkey is gone"
  if [ -z "$PURGE" ] && [ -d "$DATA" ]; then say "$DATA and the account $ACCOUNT are still there; --uninstall --purge takes them too"; fi
}

main() {
  if ! command -v begin >/dev/null 2>&1; then
    echo 'error: this is what install.sh is made of: npm run package writes it to dist' >&2
    exit 2
  fi
  read_options "$@"
  SYSTEM=$(uname -s)
  case $SYSTEM in
    Linux) DATA=/var/lib/latchkey ;;
    Darwin) DATA=/var/db/latchkey ;;
    *) die "this script is for Linux and macOS, and this is $SYSTEM" ;;
  esac
  if [ "$(id -u)" != 0 ]; then die "only root can install it" "run it by sudo sh"; fi
  begin
  umask 022 # programs are for everybody
  case $MODE in
    install) install_release ;;
    rollback) roll_to_previous ;;
    uninstall) uninstall ;;
  esac
}

# the last line, so that half a download does nothing
main "$@" </dev/null
