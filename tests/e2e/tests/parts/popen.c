/* What an SDK does with credential_process: a shell runs it, and its output is read. */
#include <stdio.h>

int main(void) {
    char line[8192];
    FILE *answer = popen("/run/agent-aws/agent-aws-credentials", "r");
    if (!answer) return 1;
    while (fgets(line, sizeof line, answer)) fputs(line, stdout);
    return pclose(answer) != 0;
}
