#!/bin/bash
# enter.sh ROOTFS PREFIX CMD...: CMD as user 1000 sees ROOTFS's /usr and /etc in
# place of the machine's; every other path is the machine's. Own mount, process
# and IPC namespaces: when CMD ends, every Wine process of it does. Wine is run as
# an ordinary user because read-only files are writable for root.
rootfs=$1 prefix=$2
shift 2
export rootfs prefix
exec unshare -m -p -i -f --kill-child --propagation private -- bash -c '
set -e
mount -t proc proc /proc
mount --rbind /usr/local "$rootfs/usr/local"
mount --bind "$rootfs/etc" /etc
mount --rbind "$rootfs/usr" /usr # last: everything above comes from the old one
mkdir -p "$prefix/xdg"
chown 1000:1000 "$prefix/xdg"
exec setpriv --reuid=1000 --regid=1000 --clear-groups env -i HOME="$prefix" USER=tester LANG=C.UTF-8 PATH=/usr/bin:/bin \
  XDG_RUNTIME_DIR="$prefix/xdg" WINEPREFIX="$prefix" WINEDEBUG="${WINEDEBUG:--all}" ${DISPLAY:+DISPLAY="$DISPLAY"} "$@"' _ "$@"
