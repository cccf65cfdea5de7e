# Package managers of Linux. What a run installs is found by comparing before and after, so that dependencies are undone too.
MANAGER=''

os_release() { sed -n "s/^$1=//p" /etc/os-release 2>/dev/null | tr -d "\"'" | head -n 1; }

# find_manager: the distribution's own first, as some have the manager of another one too.
find_manager() {
  case " $(os_release ID) $(os_release ID_LIKE) " in
    *' debian '* | *' ubuntu '*) first='apt-get' ;;
    *' fedora '* | *' rhel '* | *' centos '*) first='dnf yum' ;;
    *suse*) first='zypper' ;;
    *' arch '*) first='pacman' ;;
    *' alpine '*) first='apk' ;;
    *) first='' ;;
  esac
  for MANAGER in $first apt-get dnf yum zypper pacman apk; do
    if has "$MANAGER"; then return 0; fi
  done
  MANAGER=''
  return 1
}

# shellcheck disable=SC2016 # dpkg's own format
ask_packages() {
  case $MANAGER in
    apt-get) dpkg-query -W -f '${db:Status-Status} ${binary:Package}\n' ;;
    dnf | yum | zypper) rpm -qa --qf 'installed %{NAME}\n' ;;
    pacman) pacman -Qq ;;
    apk) apk info ;;
  esac
}

# list_packages FILE: fails rather than give half a list, by which half the system would seem to be new.
list_packages() {
  # what is said when a signal comes meanwhile goes elsewhere
  (ask_packages) >"$WORK/asked" 2>/dev/null || return 1
  case $MANAGER in
    pacman | apk) sort -u "$WORK/asked" >"$1" ;;
    # rpm lists the keys that packages are signed with like packages
    *) sed -n -e '/^installed gpg-pubkey$/d' -e 's/^installed //p' "$WORK/asked" | sort -u >"$1" ;;
  esac
  [ -s "$1" ]
}

# new_packages: in NEW, what is installed now and was not when $WORK/packages was written.
new_packages() {
  list_packages "$WORK/packages-now" || return 1
  NEW=$(grep -vxF -f "$WORK/packages" "$WORK/packages-now" | tr '\n' ' ' | sed 's/ $//')
}

add_packages() {
  case $MANAGER in
    apt-get)
      with_usual_umask env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
        apt-get -q -y -o DPkg::Lock::Timeout=120 --no-install-recommends install "$@"
      ;;
    dnf | yum) with_usual_umask "$MANAGER" -y install "$@" ;;
    zypper) with_usual_umask zypper --non-interactive install --no-recommends "$@" ;;
    pacman) with_usual_umask pacman -S --needed --noconfirm "$@" ;;
    apk) with_usual_umask apk add "$@" ;;
  esac
}

# Makes a second try worth while: newer lists, or the repository that has WireGuard for the relatives of Red Hat.
find_more_packages() {
  case $MANAGER in
    # one list that cannot be had is no reason to go without the others
    apt-get) with_usual_umask apt-get -q -o DPkg::Lock::Timeout=120 update || warn "apt-get could not renew all of its lists" ;;
    dnf | yum) with_usual_umask "$MANAGER" -y install epel-release ;;
    zypper) with_usual_umask zypper --non-interactive refresh ;;
    apk) with_usual_umask apk update ;;
    # lists that are newer than the system would be half an upgrade
    pacman) return 1 ;;
  esac
}

remove_packages() {
  case $MANAGER in
    apt-get)
      with_usual_umask env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
        apt-get -q -y -o DPkg::Lock::Timeout=120 remove --purge "$@"
      ;;
    dnf | yum) with_usual_umask "$MANAGER" -y remove "$@" ;;
    zypper) with_usual_umask zypper --non-interactive remove "$@" ;;
    pacman) with_usual_umask pacman -R --noconfirm "$@" ;;
    apk) with_usual_umask apk del "$@" ;;
  esac
}

# install_packages NAME...: PACKAGES is what came of it.
install_packages() {
  find_manager || die "no package manager that is known here" "install by hand: $*"
  list_packages "$WORK/packages" || die "$MANAGER does not say what is installed" "install by hand: $*"
  COUNTED=no
  arm undo_packages
  add_packages "$@" || { find_more_packages && add_packages "$@"; } ||
    die "$MANAGER could not install: $*" "its own words are above; install it by hand ${TRY_AGAIN:-and make a new token}"
  if new_packages; then
    PACKAGES=$NEW
    COUNTED=yes
  fi
}

undo_packages() {
  if [ "$COUNTED" = no ]; then
    new_packages || return 1
    PACKAGES=$NEW
  fi
  if [ -z "$PACKAGES" ]; then return 0; fi
  # shellcheck disable=SC2086 # it is a line of names
  remove_packages $PACKAGES
}
