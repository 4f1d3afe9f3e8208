#!/bin/bash
# enter.sh ROOT FOLDER CMD...: CMD in FOLDER, with ROOT as the root of the file system and
# FOLDER, /tmp and /dev as they are here. Own mount and process namespaces: when CMD ends,
# everything it started does.
export root=$1 folder=$2
shift 2
exec unshare -m -p -f --kill-child --propagation private -- bash -c '
set -e
for d in /dev /tmp "$folder"; do mkdir -p "$root$d"; mount --rbind "$d" "$root$d"; done
mount -t proc proc "$root/proc"
exec chroot "$root" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/root LANG=C.UTF-8 /bin/bash -c "cd \"\$1\" && shift && exec \"\$@\"" _ "$folder" "$@"' _ "$@"
