# A Mac has no nft, and its packet filter is one file for everybody: nothing of it is changed.
guard_state() { if [ -z "$SERVES" ]; then echo none; else echo unfit; fi; }
guard_lines() { :; }
put_guard() { :; }
load_guard() { :; }
end_guard() { :; }
