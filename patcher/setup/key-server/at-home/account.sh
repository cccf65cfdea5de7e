# The account that the key server runs as.
# What tells an account that was made here from one that was there.
COMMENT='Latchkey key server'

account_there() { id "$ACCOUNT" >/dev/null 2>&1; }

account_is_ours() {
  [ "$PLATFORM" = linux ] && grep "^$ACCOUNT:" /etc/passwd | cut -d: -f5 | grep -qxF "$COMMENT"
}

make_account() {
  if account_there; then return 0; fi
  shell=/usr/sbin/nologin
  if [ ! -x "$shell" ]; then shell=/sbin/nologin; fi
  if [ "$PLATFORM" = macos ]; then
    die "there is no account $ACCOUNT" "the release's install.sh makes it"
  elif has useradd; then
    cmd useradd --system --user-group --home-dir "$(dirname "$DATA")" --no-create-home --shell "$shell" --comment "$COMMENT" "$ACCOUNT" || die "cannot make the account $ACCOUNT"
  elif has adduser; then
    cmd addgroup -S "$ACCOUNT" || die "cannot make the group $ACCOUNT"
    cmd adduser -S -D -H -h "$(dirname "$DATA")" -s "$shell" -g "$COMMENT" -G "$ACCOUNT" "$ACCOUNT" || die "cannot make the account $ACCOUNT"
  else
    die "there is neither useradd nor adduser here" "make an account $ACCOUNT yourself, then try again"
  fi
  echo 'made account'
}

# An account that was there before, or that another service runs as, stays.
remove_account() {
  if ! account_there || ! account_is_ours; then return 0; fi
  if grep -qsx "User=$ACCOUNT" /etc/systemd/system/*.service; then return 0; fi
  if has userdel; then cmd userdel "$ACCOUNT"; else cmd deluser "$ACCOUNT"; fi || die "cannot remove the account $ACCOUNT"
  if grep -q "^$ACCOUNT:" /etc/group; then
    if has groupdel; then cmd groupdel "$ACCOUNT"; else cmd delgroup "$ACCOUNT"; fi || die "cannot remove the group $ACCOUNT"
  fi
}
