/* Sends SYNs of random addresses and ports, and a marker flow in both directions:
 *   flood INTERFACE PACKETS_PER_SECOND SECONDS
 * The marker is UDP 10.99.0.7:12345 <-> 10.99.0.8:54321, twenty packets a second each way.
 * Prints how many frames went. For namespaces of the test's own. */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void header(unsigned char *frame, int length, int protocol)
{
	memset(frame, 0xff, 6);
	frame[6] = 2;
	frame[12] = 8;
	frame[14] = 0x45;
	frame[17] = length;
	frame[22] = 64;
	frame[23] = protocol;
}

int main(int count, char **words)
{
	if (count != 4) {
		fprintf(stderr, "flood INTERFACE PACKETS_PER_SECOND SECONDS\n");
		return 2;
	}
	double rate = atof(words[2]), seconds = atof(words[3]);
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_halen = 6 };
	to.sll_ifindex = if_nametoindex(words[1]);
	unsigned char syn[60] = { 0 }, out[60] = { 0 }, back[60];
	header(syn, 40, 6);
	syn[46] = 0x50;
	syn[47] = 2;
	header(out, 46, 17);
	memcpy(out + 26, "\x0a\x63\x00\x07\x0a\x63\x00\x08\x30\x39\xd4\x31\x00\x1a", 14);
	memcpy(back, out, sizeof back);
	memcpy(back + 26, "\x0a\x63\x00\x08\x0a\x63\x00\x07\xd4\x31\x30\x39\x00\x1a", 14);
	unsigned long long random = 88172645463325252ULL, sent = 0, marked = 0;
	struct timespec start, now;
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (;;) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		double past = now.tv_sec - start.tv_sec + (now.tv_nsec - start.tv_nsec) / 1e9;
		if (past > seconds)
			break;
		if (marked <= past * 20) {
			sendto(fd, out, sizeof out, 0, (void *)&to, sizeof to);
			sendto(fd, back, sizeof back, 0, (void *)&to, sizeof to);
			marked++;
		}
		while (sent < past * rate) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			memcpy(syn + 26, &random, 8);
			memcpy(syn + 34, (char *)&random + 3, 4);
			sendto(fd, syn, sizeof syn, 0, (void *)&to, sizeof to);
			sent++;
		}
		usleep(500);
	}
	printf("%llu\n", sent + 2 * marked);
	return 0;
}
