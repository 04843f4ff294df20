/* Sends numbered UDP packets of 60 octets out of an interface, for namespaces of the test's own:
 *   blast INTERFACE PACKETS_PER_SECOND SECONDS [OCTETS]
 * A rate of 0 is as fast as it goes. Prints how many went, and in how many seconds. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, MOST = 1514 };

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int count, char **words)
{
	if (count < 4) {
		fprintf(stderr, "blast INTERFACE PACKETS_PER_SECOND SECONDS [OCTETS]\n");
		return 2;
	}
	double rate = atof(words[2]), seconds = atof(words[3]);
	int length = count > 4 ? atoi(words[4]) : 60;
	if (length < 60 || length > MOST)
		return 2;
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_halen = 6 };
	to.sll_ifindex = if_nametoindex(words[1]);
	if (fd < 0 || !to.sll_ifindex || bind(fd, (void *)&to, sizeof to)) {
		perror(words[1]);
		return 1;
	}
	static unsigned char frames[BATCH][MOST];
	static struct iovec pieces[BATCH];
	static struct mmsghdr messages[BATCH];
	for (int at = 0; at < BATCH; at++) {
		unsigned char *frame = frames[at];
		memset(frame, 0xff, 6);
		frame[6] = 2;
		frame[12] = 8;
		frame[14] = 0x45;
		frame[16] = (length - 14) >> 8;
		frame[17] = length - 14;
		frame[22] = 64;
		frame[23] = 17;
		memcpy(frame + 26, "\x0a\x01\x00\x02\x0a\x01\x00\x01\x03\xe7\x1e\x61", 12);
		frame[38] = (length - 34) >> 8;
		frame[39] = length - 34;
		pieces[at] = (struct iovec){ frame, length };
		messages[at].msg_hdr.msg_iov = &pieces[at];
		messages[at].msg_hdr.msg_iovlen = 1;
	}
	unsigned long long sent = 0;
	double start = now(), past;
	while ((past = now() - start) < seconds) {
		long due = rate > 0 ? (long)(past * rate - sent) : BATCH;
		if (due <= 0) {
			usleep(200);
			continue;
		}
		if (due > BATCH)
			due = BATCH;
		for (long at = 0; at < due; at++) {
			unsigned number = htonl(sent + at);
			memcpy(frames[at] + 42, &number, 4);
		}
		int went = sendmmsg(fd, messages, due, 0);
		if (went > 0)
			sent += went;
	}
	printf("%llu %.6f\n", sent, now() - start);
	return 0;
}
