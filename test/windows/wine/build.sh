#!/bin/bash
# build.sh DIR: Wine 10 from Debian 13 in a folder, stripped, and a template of a
# fresh Windows in DIR/prefix. Debian 12's own Wine is too old for programs made
# with this Go (they need ProcessPrng). Needs root, mmdebstrap and binutils. The
# mirror is the one of this machine's apt; without one, mmdebstrap's own default.
set -euo pipefail
dir=$1
here=$(cd "$(dirname "$0")" && pwd)
mirror=$(awk '/^URIs:/ {print $2; exit}' /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)
[ -n "$mirror" ] || mirror=$(awk '$1 == "deb" {for (i = 2; i <= NF; i++) if ($i ~ /^http/) {print $i; exit}}' /etc/apt/sources.list 2>/dev/null || true)
mmdebstrap --quiet --variant=apt --include=wine64,wine \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --customize-hook='rm -rf "$1"/var/lib/apt/lists/*' trixie "$dir/rootfs" $mirror
wine=/usr/lib/x86_64-linux-gnu/wine/x86_64-windows
# Debug information only: Wine's mark of a built-in library stays.
for f in "$dir/rootfs$wine"/*; do strip --strip-debug "$f" 2>/dev/null || true; done
printf 'tester:x:1000:1000:tester:/home/tester:/bin/sh\n' >> "$dir/rootfs/etc/passwd"
printf 'tester:x:1000:\n' >> "$dir/rootfs/etc/group"
cp /etc/hosts "$dir/rootfs/etc/hosts" # without it "localhost" does not resolve
prefix=$(mktemp -d) # where an ordinary user may go, unlike DIR
chmod 755 "$prefix"
chown 1000:1000 "$prefix"
# -w waits for the server, which writes the registry only at its end.
bash "$here/enter.sh" "$dir/rootfs" "$prefix" sh -c 'wineboot -i; wineserver -w'
# Files that are the same as in the rootfs become links: 770 MB shrink to 16.
find "$prefix/drive_c/windows" -type f | while IFS= read -r f; do
  b=$(basename "$f")
  if cmp -s "$f" "$dir/rootfs$wine/$b"; then ln -sf "$wine/$b" "$f"; fi
done
chown -hR 1000:1000 "$prefix"
mv "$prefix" "$dir/prefix"
