#: expect
root in a namespace of its own
#: run
unshare -Ur sh -c 'test "$(id -u)" = 0 && echo root in a namespace of its own'
unshare -Urmp --fork --mount-proc sh -c 'mkdir m; mount -t tmpfs none m && touch m/x && ls m; ps -e | tail -n 1 | wc -l; echo $$'
