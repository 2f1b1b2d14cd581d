/*
 * How many connections each client address has: a small hash table, one node for an address that has any. An
 * IPv6 client is its /64, since a single host owns all of that. Used by the listener and on closing.
 */
#include <stdlib.h>
#include <string.h>

#include "server/http/internal.h"

#define BUCKETS 1024u

struct rb_address {
    struct rb_address *next;
    uint64_t key[2];
    unsigned connections;
};

struct rb_addresses {
    struct rb_address *buckets[BUCKETS];
};

static void key_of(const struct sockaddr *addr, uint64_t key[2])
{
    key[0] = addr->sa_family;
    key[1] = 0;
    if (addr->sa_family == AF_INET) {
        key[1] = ((const struct sockaddr_in *)(const void *)addr)->sin_addr.s_addr;
    } else if (addr->sa_family == AF_INET6) {
        const struct in6_addr *ip = &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(ip)) {
            key[0] = AF_INET;
            memcpy(&key[1], ip->s6_addr + 12, 4);
        } else {
            memcpy(&key[1], ip->s6_addr, 8);
        }
    }
}

static struct rb_address **bucket_of(struct rb_addresses *addresses, const uint64_t key[2])
{
    uint64_t hash = (key[1] ^ key[0]) * UINT64_C(0x9e3779b97f4a7c15);
    return &addresses->buckets[hash >> 54];
}

struct rb_addresses *rb_addresses_new(void)
{
    return calloc(1, sizeof(struct rb_addresses));
}

void rb_addresses_free(struct rb_addresses *addresses)
{
    free(addresses); /* its nodes went with the connections */
}

struct rb_address *rb_addresses_take(struct rb_addresses *addresses, const struct sockaddr *addr,
                                     unsigned cap)
{
    uint64_t key[2];
    key_of(addr, key);
    struct rb_address **bucket = bucket_of(addresses, key);
    struct rb_address *at = *bucket;
    while (at && (at->key[0] != key[0] || at->key[1] != key[1])) {
        at = at->next;
    }
    if (!at) {
        if (cap == 0 || !(at = calloc(1, sizeof(*at)))) {
            return NULL;
        }
        at->key[0] = key[0];
        at->key[1] = key[1];
        at->next = *bucket;
        *bucket = at;
    } else if (at->connections >= cap) {
        return NULL;
    }
    at->connections++;
    return at;
}

void rb_addresses_give(struct rb_addresses *addresses, struct rb_address *address)
{
    if (--address->connections > 0) {
        return;
    }
    struct rb_address **at = bucket_of(addresses, address->key);
    while (*at != address) {
        at = &(*at)->next;
    }
    *at = address->next;
    free(address);
}
