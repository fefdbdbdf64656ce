#: expect
heap-buffer-overflow
runtime error: signed integer overflow
#: alike
s/==[0-9]+==/==PID==/; s/0x[0-9a-f]+/0xADDRESS/g
#: setup
cat >o.c <<'X'
#include <stdlib.h>
int main(int n, char **v) { int big = 2147483647; big += n; int *a = malloc(4 * sizeof *a); int r = a[3 + n] + big; free(a); return r != 0; }
X
#: run
gcc -g -O0 -fsanitize=address,undefined -o o o.c
./o 2>&1 | grep -E 'runtime error|ERROR|READ of|#0 .* in main' && exit 0
