# What looks after the tunnel once this script has ended. The platform has KEEPS, what runs it (`none` where nothing can), and
# schedule_files, which prints `PATH` and `MODE` of what it needs beside the keeper itself; see keeper-linux and keeper-macos.

keeper_text() {
  printf '#!/bin/sh\n'
  header
  printf '\nTUNNEL=%s\nCONF=%s\nGUARD=%s\nSTART=%s\nUNIT=%s\n' "'$TUNNEL'" "'$CONF'" "'$GUARD'" "$INIT" "'$UNIT'"
  printf 'PATH=%s\n' "'${PREFIX:+$PREFIX/bin:$PREFIX/sbin:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'"
  cat <<'KEEPER'
# @@own keep@@
KEEPER
}

keeper_is_written() { of_pair "$KEEPER" 2 && [ "$(cat "$KEEPER")" = "$(keeper_text)" ]; }

keeper_runs() { keeper_is_written && is_scheduled; }

keep_up() {
  if [ "$KEEPS" = none ]; then
    warn "nothing on this machine runs a program each minute, so nothing looks after $TUNNEL"
    hint "install cron $TRY_AGAIN, or have root run once a minute: sh $KEEPER"
  fi
  make_folder "${KEEPER%/*}" 755 || die "cannot make ${KEEPER%/*}"
  arm end_keeper
  say "writing $KEEPER"
  keeper_text | put_file "$KEEPER" 755 || die "cannot write $KEEPER"
  if [ "$KEEPS" != none ]; then schedule || die "nothing would run $KEEPER" "its own words are above"; fi
}

end_keeper() {
  unschedule || return 1
  if of_pair "$KEEPER" 2; then cmd rm -f "$KEEPER" "$KEEPER.new" || return 1; fi
}
