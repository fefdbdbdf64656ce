#: expect
watched/ CREATE new
#: run
mkdir watched; : >events; inotifywait -m -q -e create,close_write,delete,moved_to --format '%w %e %f' watched >>events & p=$!
for i in $(seq 100); do touch watched/first; grep -q first events && break; sleep 0.1; rm -f watched/first; done; sleep 0.2; : >events
echo x >watched/new; mv watched/new watched/moved; rm watched/moved; for i in $(seq 100); do grep -q DELETE events && break; sleep 0.1; done
kill $p; cat events; cat /proc/sys/fs/inotify/max_user_watches >/dev/null && echo limit
