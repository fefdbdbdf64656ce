#: expect
threads 8 sum 800000
omp 4950
#: setup
cat >t.c <<'X'
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <semaphore.h>
#include <sched.h>
static atomic_long sum; static sem_t s; static pthread_mutex_t m; static pthread_barrier_t b;
static void *work(void *x) {
    pthread_barrier_wait(&b);
    for (int i = 0; i < 100000; i++) sum++;
    sem_post(&s); return x;
}
int main(void) {
    pthread_t t[8]; pthread_mutexattr_t a;
    pthread_mutexattr_init(&a); pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST); pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
    if (pthread_mutex_init(&m, &a) || pthread_mutex_lock(&m) || pthread_mutex_unlock(&m)) return 1;
    sem_init(&s, 0, 0); pthread_barrier_init(&b, 0, 8);
    for (int i = 0; i < 8; i++) if (pthread_create(t + i, 0, work, 0)) return 2;
    for (int i = 0; i < 8; i++) sem_wait(&s);
    for (int i = 0; i < 8; i++) pthread_join(t[i], 0);
    cpu_set_t c; if (sched_getaffinity(0, sizeof c, &c) || pthread_setaffinity_np(pthread_self(), sizeof c, &c)) return 3;
    printf("threads 8 sum %ld, processors %d\n", sum, CPU_COUNT(&c));
    long o = 0;
    #pragma omp parallel for reduction(+:o)
    for (int i = 0; i < 100; i++) o += i;
    printf("omp %ld\n", o);
    return 0;
}
X
#: run
gcc -O1 -fopenmp -pthread -o t t.c && ./t
gcc -g -fsanitize=thread -pthread -o tsan t.c -Wno-unknown-pragmas && setarch -R ./tsan
