/* Asks the management port over and over from one socket.
 *
 *     udpload PORT REQUESTS OUTSTANDING [METHOD]
 *
 * Keeps OUTSTANDING requests on their way and counts an answer when its "end" arrives. Prints:
 * seconds answered median_us p99_us */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define MOST 256

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fputs("udpload PORT REQUESTS OUTSTANDING [METHOD]\n", stderr);
        return 2;
    }
    long wanted = atol(argv[2]);
    long outstanding = atol(argv[3]);
    const char *method = argc > 4 ? argv[4] : "verbose";
    if (wanted < 1 || outstanding < 1 || outstanding > MOST)
        return 2;
    struct sockaddr_in server = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)atoi(argv[1])),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof server)) {
        perror("connect");
        return 1;
    }
    double *took = calloc((size_t)wanted, sizeof *took);
    static double since[MOST];
    if (!took)
        return 1;
    long sent = 0, answered = 0;
    double start = now();
    while (answered < wanted) {
        while (sent < wanted && sent - answered < outstanding) {
            char request[128];
            int len = snprintf(request, sizeof request, "r %ld %s\n", sent, method);
            since[sent % MOST] = now();
            if (send(fd, request, (size_t)len, 0) < 0) {
                perror("send");
                return 1;
            }
            sent++;
        }
        char reply[2048];
        ssize_t len = recv(fd, reply, sizeof reply - 1, MSG_DONTWAIT);
        if (len < 0) {
            /* Spins: its own wake-ups are not what is measured. */
            if (now() - since[(sent - 1) % MOST] > 2) {
                fprintf(stderr, "silence after %ld answers\n", answered);
                break;
            }
            continue;
        }
        reply[len] = 0;
        char *tag = strstr(reply, "\"_tag\":\"");
        if (tag && strstr(reply, "\"_type\":\"end\""))
            took[answered++] = now() - since[atol(tag + 8) % MOST];
    }
    double seconds = now() - start;
    qsort(took, (size_t)answered, sizeof *took, by_value);
    if (answered)
        printf("%.6f %ld %.1f %.1f\n", seconds, answered, took[answered / 2] * 1e6,
               took[answered * 99 / 100] * 1e6);
    return answered == wanted ? 0 : 1;
}
