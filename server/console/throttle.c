/*
 * The memory of throttle.h: a table of fixed size in which a newer entry pushes an older one out. Keys are
 * hashed with a secret of the process, so that nobody finds names that push others out. Called by the log-in.
 */
#include "server/console/throttle.h"

#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"

enum { SLOTS = 1024 };

struct slot {
    uint64_t key;
    int64_t until;    /* no try is looked at before */
    int64_t believed; /* until then */
};

struct rb_throttle {
    unsigned char secret[crypto_shorthash_KEYBYTES];
    struct slot slots[SLOTS];
};

static uint64_t key_of(const struct rb_throttle *throttle, char kind, const void *data, size_t len)
{
    unsigned char text[512] = {(unsigned char)kind};
    uint64_t key;
    RB_INVARIANT(len < sizeof(text));
    memcpy(text + 1, data, len);
    crypto_shorthash((unsigned char *)&key, text, len + 1, throttle->secret);
    return key;
}

static uint64_t name_key(const struct rb_throttle *throttle, const char *name)
{
    return key_of(throttle, 'n', name, strlen(name));
}

static uint64_t address_key(const struct rb_throttle *throttle, const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return key_of(throttle, '4', &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    return IN6_IS_ADDR_V4MAPPED(v6) ? key_of(throttle, '4', v6->s6_addr + 12, 4)
                                    : key_of(throttle, '6', v6->s6_addr, 8);
}

static int64_t wait_of(const struct rb_throttle *throttle, uint64_t key, int64_t now)
{
    const struct slot *slot = &throttle->slots[key % SLOTS];
    if (slot->key != key || slot->believed <= now || slot->until <= now)
        return 0;
    return (slot->until - now + RB_SECOND - 1) / RB_SECOND;
}

static void note(struct rb_throttle *throttle, uint64_t key, int64_t seconds, int64_t now)
{
    if (seconds > 0)
        throttle->slots[key % SLOTS] =
            (struct slot){.key = key, .until = now + seconds * RB_SECOND, .believed = now + RB_SECOND};
}

struct rb_throttle *rb_throttle_new(void)
{
    struct rb_throttle *throttle = calloc(1, sizeof(*throttle));
    RB_INVARIANT(throttle != NULL);
    crypto_shorthash_keygen(throttle->secret);
    return throttle;
}

void rb_throttle_free(struct rb_throttle *throttle)
{
    free(throttle);
}

int64_t rb_throttle_wait(const struct rb_throttle *throttle, const char *name, const struct sockaddr *address,
                         int64_t now)
{
    int64_t by_name = wait_of(throttle, name_key(throttle, name), now);
    int64_t by_address = wait_of(throttle, address_key(throttle, address), now);
    return by_name > by_address ? by_name : by_address;
}

void rb_throttle_note_name(struct rb_throttle *throttle, const char *name, int64_t seconds, int64_t now)
{
    note(throttle, name_key(throttle, name), seconds, now);
}

void rb_throttle_note_address(struct rb_throttle *throttle, const struct sockaddr *address, int64_t seconds,
                              int64_t now)
{
    note(throttle, address_key(throttle, address), seconds, now);
}
