#!/bin/sh
# shellcheck disable=SC2034 # not every platform needs each value
# Makes a Linux machine a spoke of a WireGuard hub. Made by Latchkey for one machine; what is in it is good for one registration.

# @@values@@

# @@part any-linux@@

own_usage() { :; }
own_option() { return 1; }

main() {
  read_options "$@"
  start_on_linux Linux "run it by sudo sh"
  check_place
  system=$(os_release PRETTY_NAME)
  join_hub "${system:-Linux} ($(uname -sr))"
}

# the last line, so that half a download does nothing
main "$@" </dev/null
