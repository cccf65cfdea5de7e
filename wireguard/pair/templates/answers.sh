# What programs read goes to the stdout that the script was started with, a word and its value a line; all else is for people, on stderr.
answer() { printf '%s\n' "$*" >&3; }

# refuse CODE MESSAGE HINT: ends the run before anything was done, since it would not be safe.
refuse() {
  answer "refused $1"
  printf 'error: %s\n' "$2" >&2
  hint "$3"
  exit 3
}

yes_or_no() { if "$@"; then echo yes; else echo no; fi; }
