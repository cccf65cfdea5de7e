# Homebrew, in /opt/homebrew on Apple silicon and in /usr/local on Intel; Macs that came from one to the other may have both.
PREFIX=''
BREW_USER=''

find_prefix() {
  if [ "$(uname -m)" = arm64 ] || [ "$(sysctl -n hw.optional.arm64 2>/dev/null)" = 1 ]; then
    prefixes='/opt/homebrew /usr/local'
  else
    prefixes='/usr/local /opt/homebrew'
  fi
  for program in wg-quick brew; do
    for PREFIX in $prefixes; do
      if [ -x "$PREFIX/bin/$program" ]; then break 2; fi
    done
    PREFIX=''
  done
  # neither sudo nor launchd has these folders on its path
  if [ -n "$PREFIX" ]; then PATH=$PREFIX/bin:$PREFIX/sbin:$PATH; fi
}

tools_there() {
  for program in bash wg wg-quick wireguard-go; do
    if [ ! -x "$PREFIX/bin/$program" ]; then return 1; fi
  done
}

# Homebrew works for the user whom it belongs to, and refuses root.
find_brew_user() {
  if [ -z "$PREFIX" ] || [ ! -x "$PREFIX/bin/brew" ]; then
    die "there is no Homebrew, which has WireGuard for macOS" "install it as your own user, see https://brew.sh, ${TRY_AGAIN:-and make a new token}"
  fi
  # shellcheck disable=SC2012 # stat is another one on a Mac
  BREW_USER=$(ls -ld "$PREFIX/bin/brew" | awk '{ print $3 }')
  if [ "$BREW_USER" = root ]; then BREW_USER=${SUDO_USER:-root}; fi
  if [ "$BREW_USER" = root ]; then
    die "Homebrew does not work for root" "run this by sudo sh, as the user whom Homebrew belongs to"
  fi
}

# brew WORD...: from a folder that its user may see, with nothing of what root has in its environment.
brew() {
  (
    cd / || exit 1
    with_usual_umask sudo -H -u "$BREW_USER" env HOMEBREW_NO_INSTALL_UPGRADE=1 HOMEBREW_NO_INSTALL_CLEANUP=1 \
      HOMEBREW_NO_ENV_HINTS=1 NONINTERACTIVE=1 "$PREFIX/bin/brew" "$@"
  )
}

list_formulae() {
  # what is said when a signal comes meanwhile goes elsewhere
  (brew list --formula -1) >"$WORK/asked" 2>"$WORK/said" || {
    cat "$WORK/said" >&2
    return 1
  }
  sort -u "$WORK/asked" >"$1"
}

# new_formulae: in NEW, what is installed now and was not when $WORK/formulae was written.
new_formulae() {
  list_formulae "$WORK/formulae-now" || return 1
  NEW=$(grep -vxF -e '' -f "$WORK/formulae" "$WORK/formulae-now" | tr '\n' ' ' | sed 's/ $//')
}

install_wireguard() {
  choose_fetcher || die "there is no curl, which every Mac has"
  if [ -z "$PREFIX" ] || ! tools_there; then
    find_brew_user
    list_formulae "$WORK/formulae" || die "Homebrew does not say what is installed" "its own words are above"
    COUNTED=no
    arm undo_formulae
    brew install wireguard-tools || die "Homebrew could not install wireguard-tools" \
      "its own words are above; install it by hand ${TRY_AGAIN:-and make a new token}"
    if new_formulae; then
      PACKAGES=$NEW
      COUNTED=yes
    fi
    tools_there || die "Homebrew has installed wireguard-tools, but not all of it is in $PREFIX/bin" "see: brew doctor"
  fi
  # that of macOS is too old for wg-quick
  # shellcheck disable=SC2016 # for that bash
  version=$("$PREFIX/bin/bash" -c 'echo "${BASH_VERSINFO[0]}"')
  if [ "${version:-0}" -lt 4 ]; then
    die "$PREFIX/bin/bash is older than 4, and wg-quick needs that" "brew install bash, ${TRY_AGAIN:-and make a new token}"
  fi
}

undo_formulae() {
  if [ "$COUNTED" = no ]; then
    new_formulae || return 1
    PACKAGES=$NEW
  fi
  if [ -z "$PACKAGES" ]; then return 0; fi
  # shellcheck disable=SC2086 # it is a line of names
  brew uninstall --formula $PACKAGES
}
