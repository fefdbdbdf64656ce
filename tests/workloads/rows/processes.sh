#: expect
sleep
ended by signal 15
#: run
sleep 321 & p=$!; until [ "$(cat /proc/$p/comm)" = sleep ]; do sleep 0.05; done
ps -o stat=,comm= -p $p | tr -d ' '; pgrep -x sleep -P $$ | grep -c .; pgrep -f 'sleep 321' >/dev/null && echo pgrep; cat /proc/$p/comm; tr '\0' ' ' </proc/$p/cmdline; echo; readlink /proc/$p/cwd; ls /proc/$p/fd | wc -l | sed 's/.*/descriptors/'
pkill -P $$ -x sleep; wait $p || echo "ended by signal $(($? - 128))"
grep -c processor /proc/cpuinfo; grep -c MemTotal /proc/meminfo; free -m | head -n 2 | tail -n 1 | cut -d: -f1; uptime >/dev/null && echo uptime; cat /proc/sys/kernel/pid_max >/dev/null && echo pid_max; cut -d' ' -f1 /proc/self/stat | grep -c .; grep -c . /proc/self/maps | sed 's/.*/maps/'; cat /proc/self/cgroup >/dev/null && echo cgroup; cat /proc/loadavg | wc -w; top -b -n 1 | grep -c load; cat /proc/mounts | wc -l | sed 's/.*/mounts/'; vmstat >/dev/null && echo vmstat; lscpu >/dev/null && echo lscpu; cat /sys/devices/system/cpu/online
setarch -R true && echo 'no randomisation'; prlimit --pid $$ --nofile >/dev/null && echo limits; chrt -p $$ | head -n 1 | sed 's/[0-9]*//' | cut -d: -f2
