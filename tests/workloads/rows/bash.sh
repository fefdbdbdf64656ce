#: expect
process substitution
trapped
#: alike
s/line ([0-9]+): +[0-9]+ Killed/line \1: PID Killed/
#: run
diff <(echo a) <(echo b) || true
cat <(echo process substitution) - <<<'here string'
coproc UP { tr a-z A-Z; }; echo coproc >&"${UP[1]}"; exec {UP[1]}>&-; cat <&"${UP[0]}"
trap 'echo trapped' USR1; kill -USR1 $$; (kill -9 $BASHPID) 2>/dev/null || echo "status $?"
for i in 1 2 3; do (sleep 0.0$i; echo $i >>jobs) & done; wait; sort jobs; echo >/dev/tcp/127.0.0.1/1 2>/dev/null || echo refused
mkfifo f; echo through a fifo >f & cat f; exec 9<>f; exec 9>&-; (echo err >/dev/stderr) 2>&1 | cat; cat /dev/stdin <<<stdin
timeout 1 sleep 10 || echo "status $?"; timeout -s KILL 0.2 sleep 10 || echo "status $?"; ulimit -c; umask
set -o pipefail; yes | head -n 1 || echo "status $?"; printf '%s\n' "$BASH_VERSION" "$HOME" "$PWD" "$USER"
