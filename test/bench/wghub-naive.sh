#!/bin/bash
# The naive way to a new peer, as scripts for wg have it: wghub-naive.sh INTERFACE NETWORK-PREFIX FILE COUNT quick|plain
# The file is saved by wg-quick, which reads the old one line by line in bash, or written whole from what wg says.
# Prints the microseconds that each took. Keys go by pipes; what was added is taken off again.
set -euo pipefail
interface=$1 prefix=$2 file=$3 count=$4 how=$5
umask 077
: >"$file"

next_address() { # the first that nobody has, of all that wg knows of
  wg show "$interface" allowed-ips | awk -v prefix="$prefix" '
    { for (at = 2; at <= NF; at++) taken[$at] = 1 }
    END {
      for (third = 0; third < 256; third++) for (fourth = third == 0 ? 2 : 0; fourth < 256; fourth++) {
        address = prefix "." third "." fourth "/32"
        if (!(address in taken)) { print address; exit }
      }
    }'
}

save() {
  if [[ $how == quick ]]; then
    wg-quick save "$file" 2>/dev/null
  else
    wg showconf "$interface" >"$file.new"
    sync "$file.new"
    mv "$file.new" "$file"
  fi
}

for ((number = 0; number < count; number++)); do
  begun=${EPOCHREALTIME/./}
  private=$(wg genkey)
  public=$(wg pubkey <<<"$private")
  preshared=$(wg genpsk)
  address=$(next_address)
  wg set "$interface" peer "$public" preshared-key /dev/stdin allowed-ips "$address" <<<"$preshared"
  save
  ended=${EPOCHREALTIME/./}
  echo $((ended - begun))
  wg set "$interface" peer "$public" remove
done
