#: expect
sum 5050
plugin 42
#: setup
cat >main.c <<'X'
#include <dlfcn.h>
#include <stdio.h>
long sum(long n);
int main(void) {
    printf("sum %ld\n", sum(100));
    void *p = dlopen("./plugin.so", RTLD_NOW);
    if (!p) { puts(dlerror()); return 1; }
    int (*answer)(void) = (int (*)(void))dlsym(p, "answer");
    printf("plugin %d\n", answer());
    return 0;
}
X
echo 'long sum(long n) { long s = 0; while (n) s += n--; return s; }' >sum.c
echo 'int answer(void) { return 42; }' >plugin.c
cat >Makefile <<'X'
all: program plugin.so
program: main.o libsum.a ; $(CC) -o $@ $^ -ldl
libsum.a: sum.o ; $(AR) rcs $@ $^
plugin.so: plugin.c ; $(CC) -shared -fPIC -o $@ $<
%.o: %.c ; $(CC) -O2 -g -Wall -c -o $@ $<
X
#: run
make -j4 --output-sync=target | sort
./program
touch sum.c; make -j4 --output-sync=target | sort; make -q && echo made
