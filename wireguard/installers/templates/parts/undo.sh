# Before each step its undo is armed: a function and words without blanks, run last first when a step fails or a signal comes.
UNDO=''
WORK=''
LOCK=''

arm() {
  UNDO="$*
$UNDO"
}

# From here on everything that was done stays.
keep() { UNDO=''; }

# begin: a folder of its own for what is secret, in WORK, and undoing on every way out.
begin() {
  LC_ALL=C
  # su gives root the programs of others
  PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
  export LC_ALL PATH
  USUAL_UMASK=$(umask)
  umask 077
  trap 'leave $?' EXIT
  trap 'caught SIGHUP' HUP
  trap 'caught SIGINT' INT
  trap 'caught SIGTERM' TERM
  trap 'caught SIGPIPE' PIPE
  be_alone /var/run/latchkey-installer
  WORK=$(mktemp -d "${TMPDIR:-/tmp}/latchkey.XXXXXXXX") || die "cannot make a temporary folder"
}

# be_alone FOLDER: two runs at once would undo each other's work. What a killed run has left is taken over.
be_alone() {
  if ! mkdir "$1" 2>/dev/null; then
    if [ ! -d "$1" ]; then die "cannot make $1"; fi
    other=''
    if [ -r "$1/pid" ]; then IFS= read -r other <"$1/pid"; fi
    if [ -z "$other" ] || kill -0 "$other" 2>/dev/null; then
      die "another installer runs on this machine" "wait for its end; if there is none: rm -r $1"
    fi
    rm -rf "$1"
    mkdir "$1" || die "another installer runs on this machine"
  fi
  LOCK=$1
  echo $$ >"$LOCK/pid"
}

caught() { die "stopped by $1"; }

leave() {
  trap - EXIT
  trap '' HUP INT TERM PIPE
  status=$1
  if [ -n "$UNDO" ]; then
    status=1
    roll_back
  fi
  if [ -n "$WORK" ]; then rm -rf "$WORK"; fi
  if [ -n "$LOCK" ]; then rm -rf "$LOCK"; fi
  exit "$status"
}

roll_back() {
  printf 'undoing what was done\n' >&2
  left=''
  while IFS= read -r step; do
    if [ -z "$step" ]; then continue; fi
    # shellcheck disable=SC2086 # it is a line of words
    $step </dev/null || left="$left $step;"
  done <<STEPS
$UNDO
STEPS
  UNDO=''
  if [ -z "$left" ]; then
    printf 'everything is as it was before\n' >&2
  else
    printf 'error: could not be undone:%s\n' "$left" >&2
  fi
}

# For programs that write files for others to read, as package managers do.
with_usual_umask() (
  umask "$USUAL_UMASK"
  cmd "$@"
)
