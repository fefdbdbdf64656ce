#: expect
root in a namespace of its own
#: run
unshare -Ur sh -c 'test "$(id -u)" = 0 && echo root in a namespace of its own'
unshare -Urmp --fork --mount-proc sh -c 'mount -t tmpfs none /mnt && touch /mnt/x && ls /mnt; ps -e | tail -n 1 | wc -l; echo $$'
