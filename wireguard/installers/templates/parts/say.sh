# What it says goes to stdout, what went wrong to stderr. Commands are shown as they are run; none has a secret among its words.
say() { printf '%s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
hint() { printf 'hint: %s\n' "$*" >&2; }

# die MESSAGE [HINT]: ends the run; what was done is undone on the way out.
die() {
  printf 'error: %s\n' "$1" >&2
  if [ $# -gt 1 ]; then hint "$2"; fi
  exit 1
}

cmd() {
  printf '[#] %s\n' "$*" >&2
  "$@"
}

has() { command -v "$1" >/dev/null 2>&1; }
