#: expect
Breakpoint 1, add (a=1, b=2)
exited normally
#: alike
s/0x[0-9a-f]+/0xADDRESS/g; s/(process|LWP) [0-9]+/\1 N/g
#: setup
printf 'int add(int a, int b) {\n    return a + b;\n}\nint main(void) {\n    return add(1, 2) - 3;\n}\n' >a.c
gcc -g -O0 -o a a.c
#: run
gdb -q -nx -batch -ex 'set debuginfod enabled off' -ex 'break add' -ex run -ex bt -ex 'print a + b' -ex 'set var b = 2' -ex finish -ex continue ./a
