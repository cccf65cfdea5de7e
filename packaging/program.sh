#!/bin/sh
# Starts @@NAME@@ of this release.
place=$0
while [ -L "$place" ]; do
  target=$(readlink "$place")
  case $target in
    /*) place=$target ;;
    *) place=$(dirname "$place")/$target ;;
  esac
done
root=$(cd "$(dirname "$place")/.." && pwd -P) || exit 1
node=$root/node/bin/node
if [ ! -x "$node" ]; then
  node=$(command -v node) || {
    echo "@@NAME@@: error: there is no Node $(cat "$root/NODE") here" >&2
    echo "@@NAME@@: hint: run install.sh of the release with --node FILE" >&2
    exit 1
  }
fi
exec @@BEFORE@@"$node" @@OPTIONS@@ "$root/@@MAIN@@" "$@"
