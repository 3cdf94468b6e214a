/* Answers every REQUEST bytes on a pseudo-terminal with ANSWER bytes: the least that a device on one can do.
   usage: echo REQUEST ANSWER; prints the path of the terminal. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

int main(int count, char **words)
{
    if (count != 3)
        return 2;
    int request = atoi(words[1]), answer = atoi(words[2]), received = 0;
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) || unlockpt(master))
        return 1;
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY); /* kept open, else the master reads EIO between clients */
    struct termios raw;
    tcgetattr(slave, &raw);
    cfmakeraw(&raw);
    tcsetattr(slave, TCSANOW, &raw);
    printf("%s\n", ptsname(master));
    fflush(stdout);

    char buffer[512] = {0};
    for (;;) {
        ssize_t got = read(master, buffer, sizeof buffer);
        if (got <= 0)
            return 0;
        for (received += got; received >= request; received -= request)
            if (write(master, buffer, answer) != answer)
                return 1;
    }
}
