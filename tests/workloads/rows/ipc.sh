#: expect
semaphore 3
#: setup
cat >i.c <<'X'
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
int main(void) {
    int s = semget(IPC_PRIVATE, 1, 0600); struct sembuf up = {0, 3, 0}; semop(s, &up, 1); printf("semaphore %d\n", semctl(s, 0, GETVAL)); semctl(s, 0, IPC_RMID);
    int m = shmget(IPC_PRIVATE, 4096, 0600); char *p = shmat(m, 0, 0); strcpy(p, "shared"); printf("%s\n", p); shmdt(p); shmctl(m, IPC_RMID, 0);
    sem_t *n = sem_open("/agent-aws-test", O_CREAT, 0600, 1); if (n == SEM_FAILED) perror("sem_open"); else { sem_unlink("/agent-aws-test"); puts("named semaphore"); }
    int e = eventfd(2, 0); unsigned long v; read(e, &v, 8); printf("eventfd %lu\n", v);
    int t = timerfd_create(CLOCK_MONOTONIC, 0); struct itimerspec i = {.it_value = {0, 1000000}}; timerfd_settime(t, 0, &i, 0); read(t, &v, 8); printf("timerfd %lu\n", v);
    sigset_t set; sigemptyset(&set); sigaddset(&set, SIGCHLD); sigprocmask(SIG_BLOCK, &set, 0); int f = signalfd(-1, &set, 0); if (!fork()) _exit(0); struct signalfd_siginfo si; read(f, &si, sizeof si); printf("signalfd %u\n", si.ssi_signo == SIGCHLD); wait(0);
    int in[2]; pipe(in); write(in[1], "splice", 6); int out = open("s", O_CREAT | O_RDWR, 0600); printf("splice %zd\n", splice(in[0], 0, out, 0, 6, 0));
    return 0;
}
X
#: run
gcc -o i i.c -pthread 2>/dev/null && ./i
ipcs -q | grep -c Queues
