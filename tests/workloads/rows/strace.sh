#: expect
execve("/usr/bin/true"
exited with 0
#: alike
s/\[pid +[0-9]+\] //; s/0x[0-9a-f]+/0xADDRESS/g; s/[0-9]+ vars/N vars/; s/\[[0-9]+\]/[PID]/; s/= [0-9]{2,}$/= PID/
#: run
strace -f -qq -e trace=execve,exit_group -e signal=none sh -c '/usr/bin/true; exit 0'
strace -qq -e trace=openat -P /etc/passwd -e signal=none cat /etc/passwd | head -n 1
strace -e trace=none /usr/bin/true
