#: expect
Invalid read of size 4
definitely lost
#: alike
s/==[0-9]+==/==PID==/; s/0x[0-9A-F]+/0xADDRESS/g
#: setup
printf '#include <stdlib.h>\nint main(void) { int *a = malloc(16); int r = a[4]; a = malloc(32); return r & 0 * !!a; }\n' >v.c
#: run
gcc -g -O0 -o v v.c 2>/dev/null; valgrind --leak-check=full ./v
valgrind --tool=callgrind --callgrind-out-file=out ./v 2>&1 | grep -c Collected; grep -c summary out
