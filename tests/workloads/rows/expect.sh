#: expect
name given: Alice
#: setup
printf '%s\n' '#!/bin/bash' 'read -p "Name? " n </dev/tty; stty -echo; read -p "Secret? " s; stty echo; echo; echo "name given: $n, ${#s} characters"' >ask; chmod +x ask
#: run
expect -c 'set timeout 20; spawn -noecho ./ask; expect "Name? "; send "Alice\r"; expect "Secret? "; send "hidden\r"; expect eof; catch wait r; puts "status [lindex $r 3]"' | tr -d '\r'
