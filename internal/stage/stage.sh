# Puts the right backend in place and becomes it. Comments and blank lines are
# dropped before it is sent; so that it survives any quoting on its way through
# Windows it holds neither double quotes nor backslashes. With IFS empty and
# globbing off an unquoted expansion is one word, blanks included.
# Arguments: nonce force sha-amd64 size-amd64 sha-arm64 size-arm64
set -f
IFS=
n=$1
t=
say() {
printf '%s ' CATAMARAN-STAGE $n $@
echo
}
die() {
say fail $@
exit 70
}
case $(uname -m) in
x86_64|amd64) a=amd64 s=$3 z=$4 ;;
aarch64|arm64) a=arm64 s=$5 z=$6 ;;
*) die arch $(uname -m) ;;
esac
[ $z -gt 0 ] || die carried $a
case $HOME in
/*) ;;
*) die home ;;
esac
h=$HOME/.catamaran
b=$h/bin
f=$b/$s/catamaran-backend
u=$(umask)
umask 077
trap 'rm -f $t' 0
trap 'exit 70' 1 2 15
if [ $2 = 0 ] && [ -f $f ] && [ -x $f ] && [ $(wc -c <$f) -eq $z ]
then :
else
e=$(LC_ALL=C mkdir -p $b/$s 2>&1) || die folder $e
e=$(LC_ALL=C chmod 700 $h $b $b/$s 2>&1) || die folder $e
t=$b/$s/.new-$$-$n
e=$( { : >$t; } 2>&1 ) || die write $e
command -v head >/dev/null || die tool head
say need $a
e=$( { LC_ALL=C head -c $z >$t; } 2>&1 ) || die write $e
[ $(wc -c <$t) -eq $z ] || die cut
v=sha256
x=$(sha256sum <$t 2>/dev/null) || x=$(openssl dgst -sha256 -r <$t 2>/dev/null) || x=$(shasum -a 256 <$t 2>/dev/null) || x=$(busybox sha256sum <$t 2>/dev/null) || v=size x=$s
[ ${x%% *} = $s ] || die digest
chmod 700 $t
$t version </dev/null >/dev/null 2>&1
case $? in
126|127) die noexec ;;
esac
e=$(LC_ALL=C mv -f $t $f 2>&1) || die write $e
t=
# Keep this one and the newest other one; a version that runs stays, too.
k=0
ls -t $b 2>/dev/null | while read -r o
do
[ ${#o} -eq 64 ] && [ $o != $s ] || continue
k=$((k+1))
[ $k -gt 1 ] || continue
set +f
if ls -l /proc/[0-9]*/exe 2>/dev/null | grep -q /$o/
then :
else rm -rf $b/$o
fi
set -f
done
find $b -name '.new-*' -mtime +0 -exec rm -f {} + 2>/dev/null
say staged $a $v
fi
say exec $a
umask $u
export CATAMARAN_HOME=$h
exec $f serve --stdio
