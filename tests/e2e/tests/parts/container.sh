# A root file system as a container has it, and a command in it. To be run in a mount namespace of its own.
# usage: container.sh debian|musl ROOT SERVED PROGRAMS SCRIPT
set -eu
kind=$1 root=$2 served=$3 programs=$4 script=$5
mount -t tmpfs -o mode=755 container "$root"
mkdir -p "$root/tmp" "$root/dev" "$root/etc" "$root/run/agent-aws" "$root/programs"
mount --rbind /dev "$root/dev"
case $kind in
debian)
    for name in bin sbin lib lib32 lib64 libx32 usr; do
        if [ -L "/$name" ]; then
            cp -P "/$name" "$root/$name"
        elif [ -d "/$name" ]; then
            mkdir "$root/$name"
            mount --rbind "/$name" "$root/$name"
        fi
    done
    ;;
musl)
    mkdir "$root/bin" "$root/lib"
    cp "$(command -v busybox)" "$root/bin/busybox"
    for applet in sh cat ls id; do ln -s busybox "$root/bin/$applet"; done
    cp /usr/lib/x86_64-linux-musl/libc.so "$root/lib/ld-musl-x86_64.so.1"
    ;;
esac
cp -r "$programs/." "$root/programs/"
mount --bind "$served" "$root/run/agent-aws"
printf 'root:x:0:0::/:/bin/sh\n' > "$root/etc/passwd"
exec /usr/sbin/chroot "$root" /bin/sh -c "$script"
