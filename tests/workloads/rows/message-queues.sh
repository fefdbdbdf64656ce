# mq_open goes by a mount of the kernel's own, which Landlock knows by what is mounted at /dev/mqueue.
#: expect
queued
#: setup
cat >q.c <<'X'
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
int main(void) {
    struct mq_attr a = {.mq_maxmsg = 4, .mq_msgsize = 16};
    char text[16] = "";
    mqd_t q = mq_open("/agent-aws-test", O_CREAT | O_RDWR, 0600, &a);
    if (q < 0) { perror("mq_open"); return 1; }
    mq_send(q, "queued", 7, 0); mq_receive(q, text, 16, 0); mq_unlink("/agent-aws-test");
    return puts(text) < 0;
}
X
#: run
gcc -o q q.c && ./q
