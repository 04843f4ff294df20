/* Reads a stream of packets as fast as it comes and counts them:
 *   count - < STREAM              pcapng or pcap from a pipe
 *   count PORT PATH [BUFFER]      pcapng over a WebSocket of 127.0.0.1
 * Ends with the stream, or when it gets a SIGTERM. Prints packets, octets, losses as the last
 * statistics of the first interface tell them, and losses as packets tell them. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROOM = 4 << 20 };

static unsigned char input[ROOM], blocks[2 * ROOM];
static size_t held;
static unsigned long long packets, octets, lost, told;
static int classic = -1;
static volatile sig_atomic_t over;

static uint32_t word(const unsigned char *at)
{
	uint32_t value;
	memcpy(&value, at, 4);
	return value;
}

/* Walks over the options of a block; code 4 of packets, code 7 of statistics. */
static void look(const unsigned char *at, const unsigned char *end, unsigned wanted, int packet)
{
	while (end - at >= 4) {
		unsigned code = at[0] | at[1] << 8, length = at[2] | at[3] << 8;
		uint64_t value;
		if (!code || end - at < 4 + (long)length)
			return;
		if (code == wanted && length == 8) {
			memcpy(&value, at + 4, 8);
			if (packet)
				told += value;
			else
				lost = value;
		}
		at += 4 + (length + 3) / 4 * 4;
	}
}

static void take(const unsigned char *data, size_t length)
{
	size_t at = 0;
	octets += length;
	memcpy(blocks + held, data, length);
	held += length;
	if (classic < 0 && held >= 24) {
		classic = word(blocks) != 0x0a0d0d0a;
		if (classic)
			at = 24;
	}
	while (classic == 1 && held - at >= 16 && held - at >= 16 + (size_t)word(blocks + at + 8)) {
		at += 16 + word(blocks + at + 8);
		packets++;
	}
	while (classic == 0 && held - at >= 12) {
		uint32_t kind = word(blocks + at), size = word(blocks + at + 4);
		if (size < 12 || size > ROOM / 2) {
			fprintf(stderr, "not a stream of blocks\n");
			exit(1);
		}
		if (held - at < size)
			break;
		if (kind == 6) {
			packets++;
			size_t data = 28 + ((size_t)word(blocks + at + 20) + 3) / 4 * 4;
			if (data + 4 < size)
				look(blocks + at + data, blocks + at + size - 4, 4, 1);
		} else if (kind == 5 && word(blocks + at + 8) == 0) {
			look(blocks + at + 20, blocks + at + size - 4, 7, 0);
		}
		at += size;
	}
	memmove(blocks, blocks + at, held - at);
	held -= at;
}

static void stop(int signal)
{
	(void)signal;
	over = 1;
}

int main(int count, char **words)
{
	struct sigaction action = { .sa_handler = stop };
	sigaction(SIGTERM, &action, NULL);
	int fd = 0, web = count > 2;
	if (count < 2)
		return 2;
	size_t have = 0;
	if (web) {
		char head[8192];
		struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(atoi(words[1])) };
		to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		fd = socket(AF_INET, SOCK_STREAM, 0);
		int buffer = count > 3 ? atoi(words[3]) : 4 << 20;
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
		int length = snprintf(head, sizeof head,
			"GET %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nConnection: Upgrade\r\n"
			"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", words[2], words[1]);
		if (connect(fd, (void *)&to, sizeof to) || write(fd, head, length) != length) {
			perror("connect");
			return 1;
		}
		unsigned char *end = NULL;
		while (!end) {
			ssize_t got = read(fd, input + have, sizeof input - have);
			if (got <= 0)
				return 1;
			have += got;
			end = memmem(input, have, "\r\n\r\n", 4);
		}
		if (strncmp((char *)input, "HTTP/1.1 101", 12)) {
			fprintf(stderr, "%.*s\n", (int)have, input);
			return 1;
		}
		have -= end + 4 - input;
		memmove(input, end + 4, have);
	}
	fprintf(stderr, "reading\n");
	for (;;) {
		size_t at = 0;
		while (web && have - at >= 2) {
			size_t length = input[at + 1] & 127, head = 2;
			if (length == 126 && have - at >= 4) {
				length = input[at + 2] << 8 | input[at + 3];
				head = 4;
			} else if (length == 127 && have - at >= 10) {
				length = word(input + at + 6);
				length = ntohl(length);
				head = 10;
			} else if (length > 125) {
				break;
			}
			if (length > ROOM / 2) {
				fprintf(stderr, "a frame of %zu octets\n", length);
				return 1;
			}
			if (have - at < head + length)
				break;
			if ((input[at] & 15) == 2)
				take(input + at + head, length);
			if ((input[at] & 15) == 8)
				over = 1;
			at += head + length;
		}
		if (!web) {
			take(input, have);
			at = have;
		}
		memmove(input, input + at, have - at);
		have -= at;
		if (over)
			break;
		ssize_t got = read(fd, input + have, sizeof input - have);
		if (got <= 0)
			break;
		have += got;
	}
	printf("%llu %llu %llu %llu\n", packets, octets, lost, told);
	return 0;
}
