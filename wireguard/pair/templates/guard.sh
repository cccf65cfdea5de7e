# What the other end may ask of this one: the port that it serves, and ping, both at its address in the tunnel. Not its sshd, not its shares,
# not what has that port at another of its addresses, not the network that it stands in: the other end is a server that others may come to
# own. By nft, from before the tunnel is up until after it is down.
GUARD_TABLE=latchkey_pair_$(printf '%s' "$TUNNEL" | tr -c 'A-Za-z0-9' _)

# none: there is nothing to be guarded here; unfit: there is, and no nft.
guard_state() {
  if [ -z "$SERVES" ]; then
    echo none
  elif ! has nft; then
    echo unfit
  elif guard_is_written && nft list table inet "$GUARD_TABLE" >/dev/null 2>&1; then
    echo in-force
  else
    echo absent
  fi
}

guard_wanted() { case $(guard_state) in in-force | absent) return 0 ;; *) return 1 ;; esac; }

guard_text() {
  header
  cat <<RULES

table inet $GUARD_TABLE
delete table inet $GUARD_TABLE
table inet $GUARD_TABLE {
	chain input {
		type filter hook input priority filter - 10; policy accept;
		iifname != "$TUNNEL" accept
		ct state established,related accept
		ip daddr ${ADDRESS%/*} icmp type echo-request accept
		ip daddr ${ADDRESS%/*} tcp dport $SERVES accept
		counter drop
	}
	chain forward {
		type filter hook forward priority filter - 10; policy accept;
		iifname "$TUNNEL" ct state != { established, related } counter drop
	}
}
RULES
}

guard_is_written() { of_pair "$GUARD" && [ "$(cat "$GUARD")" = "$(guard_text)" ]; }

# Of the configuration.
guard_lines() {
  if guard_wanted; then
    printf 'PreUp = nft -f %s\nPostDown = nft delete table inet %s || :\n' "$GUARD" "$GUARD_TABLE"
  fi
}

# Loaded again it takes the place of itself, in one step.
put_guard() {
  if ! guard_wanted; then return 0; fi
  if ! guard_is_written; then
    if of_pair "$GUARD"; then cp -p "$GUARD" "$WORK/guard"; else rm -f "$WORK/guard"; fi
    arm guard_back
    guard_text | put_file "$GUARD" 600 || die "cannot write $GUARD"
  fi
  nft -c -f "$GUARD" || die "nft does not take $GUARD" "its own words are above"
}

guard_back() {
  if [ -f "$WORK/guard" ]; then
    put_file "$GUARD" 600 <"$WORK/guard" && nft -f "$GUARD"
  else
    end_guard
  fi
}

load_guard() { if guard_wanted; then cmd nft -f "$GUARD" || die "nft could not load $GUARD"; fi; }

end_guard() {
  if has nft && nft list table inet "$GUARD_TABLE" >/dev/null 2>&1; then cmd nft delete table inet "$GUARD_TABLE" || return 1; fi
  if of_pair "$GUARD"; then cmd rm -f "$GUARD" "$GUARD.new"; fi
}
