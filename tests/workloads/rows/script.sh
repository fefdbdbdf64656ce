#: expect
terminal yes
#: run
script -qec 'test -t 0 && test -t 1 && echo terminal yes; stty -a | grep -o "icanon"; : </dev/tty && echo dev-tty; exit 5' /dev/null </dev/null | tr -d '\r'; echo "status ${PIPESTATUS[0]}"
script -qc 'echo recorded' typescript >/dev/null </dev/null; grep -c recorded typescript
setsid -w sh -c 'echo own session'; nohup sh -c 'echo nohup' 2>/dev/null
