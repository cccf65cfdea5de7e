# @@part say@@

# @@part undo@@

# @@part options@@

# @@part hub@@

# @@part tunnel@@

# @@part packages@@

# @@part kernel@@

# @@part boot@@

# @@part flow@@

# start_on_linux NAME ADVICE
start_on_linux() {
  start_on Linux "$@"
  LIVE=$TUNNEL
  find_init
  leave_if_asked
}
