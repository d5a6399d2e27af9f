#!/bin/sh
# Puts this Quaver below a prefix, as a package manager would. Again with a newer one: it takes the place of the older.
# Never: touches a file that is not of this tree, or anything outside of the prefix.
set -eu

usage() {
  cat <<'HELP'
Usage: ./install.sh [--prefix DIRECTORY]

Installs Quaver below DIRECTORY (default: /usr/local): bin/quaver, lib/quaver, share/doc/quaver, manual pages.

Then:  quaver setup you@example.org    makes this machine a mail host
Back:  quaver uninstall --programs     takes everything away
HELP
}

prefix=/usr/local
while [ $# -gt 0 ]; do
  case $1 in
    --prefix) [ $# -ge 2 ] || { usage >&2; exit 2; }; prefix=$2; shift 2 ;;
    --prefix=*) prefix=${1#--prefix=}; shift ;;
    --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done
case $prefix in
  /*) ;;
  *) echo "install.sh: --prefix $prefix: an absolute path is needed" >&2; exit 2 ;;
esac
here=$(CDPATH='' cd "$(dirname "$0")" && pwd -P)
[ -f "$here/lib/quaver/manifest.json" ] || { echo "install.sh: $here/lib/quaver is not complete: unpack the archive again" >&2; exit 1; }
"$here/lib/quaver/runtime/node" --version >/dev/null || { echo "install.sh: the runtime does not run here: is this the archive for this machine?" >&2; exit 1; }
umask 022

made=$prefix/lib/quaver/made-directories
known=
[ ! -f "$made" ] || known=$(cat "$made")
new=$prefix/lib/.quaver.new.$$
old=$prefix/lib/.quaver.old.$$
trap 'rm -rf "$new"' EXIT

# What is not there yet, from the top down.
note_missing() {
  [ ! -d "$1" ] || return 0
  note_missing "$(dirname "$1")"
  known="$known
$1"
  mkdir "$1"
}
for directory in bin lib $(cd "$here" && find share -type d); do note_missing "$prefix/$directory"; done

for name in "$here"/bin/*; do
  target=$prefix/bin/${name##*/}
  if [ -e "$target" ] || [ -h "$target" ]; then
    case $(readlink "$target" 2>/dev/null) in
      ../lib/quaver/bin/*) ;;
      *) echo "install.sh: $target is somebody else's: nothing was changed" >&2; exit 1 ;;
    esac
  fi
done

cp -R "$here/lib/quaver" "$new"
printf '%s\n' "$known" | grep '^/' >"$new/made-directories" || :
if [ "$(id -u)" = 0 ]; then chown -R 0:0 "$new"; fi
[ ! -e "$prefix/lib/quaver" ] || mv "$prefix/lib/quaver" "$old"
mv "$new" "$prefix/lib/quaver"
rm -rf "$old"
for name in "$here"/bin/*; do ln -sf "../lib/quaver/bin/${name##*/}" "$prefix/bin/${name##*/}"; done
cp -R "$here/share/." "$prefix/share/"

"$prefix/bin/quaver" check
echo "Quaver $("$prefix/bin/quaver" --version) is in $prefix."
echo "Next: $prefix/bin/quaver setup you@example.org"
