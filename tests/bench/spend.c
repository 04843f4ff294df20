/* Runs a command and says what it took: user and system seconds, and its peak resident memory.
 *
 *     spend COMMAND [ARGUMENT]...
 *
 * Prints: seconds peak_kib status. In C because the peak that the kernel reports is at least that
 * of the process it was forked from, and an interpreter is larger than some of the programs. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    int out = dup(1);
    pid_t child = fork();
    if (child < 0)
        return 1;
    if (child == 0) {
        if (freopen("/dev/null", "r", stdin) && freopen("/dev/null", "w", stdout) &&
            freopen("/dev/null", "w", stderr)) {
            close(out);
            execvp(argv[1], argv + 1);
        }
        _exit(127);
    }
    int status;
    struct rusage usage;
    if (wait4(child, &status, 0, &usage) < 0)
        return 1;
    double seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    dprintf(out, "%.6f %ld %d\n", seconds, usage.ru_maxrss,
            WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return 0;
}
