/* Counts frames in a TPACKET_V3 ring and nothing else: what capturing costs at the least on this
 * machine, as a ceiling for the agent.
 *
 *     tp3count INTERFACE [BLOCKS [BLOCK_KIB]]
 *
 * Ends on SIGTERM or SIGINT and prints: packets bytes drops. */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
    (void)signal;
    stopped = 1;
}

static int fail(const char *what)
{
    perror(what);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fputs("tp3count INTERFACE [BLOCKS [BLOCK_KIB]]\n", stderr);
        return 2;
    }
    unsigned blocks = argc > 2 ? (unsigned)atoi(argv[2]) : 8;
    unsigned size = (argc > 3 ? (unsigned)atoi(argv[3]) : 256) << 10;
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);

    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    if (fd < 0)
        return fail("socket");
    int version = TPACKET_V3;
    if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version))
        return fail("PACKET_VERSION");
    struct tpacket_req3 request = {
        .tp_block_size = size,
        .tp_block_nr = blocks,
        .tp_frame_size = 2048,
        .tp_frame_nr = size / 2048 * blocks,
        .tp_retire_blk_tov = 60,
    };
    if (setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request))
        return fail("PACKET_RX_RING");
    size_t len = (size_t)size * blocks;
    uint8_t *ring = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (ring == MAP_FAILED)
        return fail("mmap");
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons(ETH_P_ALL),
        .sll_ifindex = (int)if_nametoindex(argv[1]),
    };
    if (bind(fd, (struct sockaddr *)&address, sizeof address))
        return fail("bind");

    uint64_t packets = 0, bytes = 0;
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    for (unsigned current = 0; !stopped;) {
        struct tpacket_block_desc *block = (void *)(ring + (size_t)current * size);
        if (!(__atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER)) {
            poll(&wait, 1, -1);
            continue;
        }
        uint8_t *at = (uint8_t *)block + block->hdr.bh1.offset_to_first_pkt;
        for (uint32_t left = block->hdr.bh1.num_pkts; left > 0; left--) {
            struct tpacket3_hdr *frame = (void *)at;
            packets++;
            bytes += frame->tp_len;
            at += frame->tp_next_offset;
        }
        __atomic_store_n(&block->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        current = (current + 1) % blocks;
    }
    struct tpacket_stats_v3 statistics = {0};
    socklen_t room = sizeof statistics;
    getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &statistics, &room);
    printf("%llu %llu %u\n", (unsigned long long)packets, (unsigned long long)bytes,
           statistics.tp_drops);
    return 0;
}
