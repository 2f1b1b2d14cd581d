/*
 * Addresses and networks of common/net.h. Texts are read strictly: numeric hosts, decimal ports and prefix
 * lengths; nothing here ever asks a resolver.
 */
#include "common/net.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_SIZE 48 /* longest numeric IPv6 address, NUL included, with room */

/* An address as 16 bytes; IPv4 as its mapped IPv6 form, so that one comparison serves both. */
struct bytes {
    uint8_t b[16];
};

struct network {
    struct bytes base;
    unsigned bits; /* of 128 */
};

struct rb_networks {
    size_t count;
    struct network list[];
};

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static struct bytes from_ipv4(const void *four)
{
    struct bytes out;
    memcpy(out.b, mapped_prefix, 12);
    memcpy(out.b + 12, four, 4);
    return out;
}

static bool is_ipv4(const struct bytes *addr)
{
    return memcmp(addr->b, mapped_prefix, 12) == 0;
}

/* False for families that are neither IPv4 nor IPv6. */
static bool from_sockaddr(const struct sockaddr *addr, struct bytes *out)
{
    if (addr->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, addr, sizeof(in));
        *out = from_ipv4(&in.sin_addr);
        return true;
    }
    if (addr->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, addr, sizeof(in6));
        memcpy(out->b, &in6.sin6_addr, 16);
        return true;
    }
    return false;
}

static bool shares_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    if (memcmp(a, b, bits / 8))
        return false;
    unsigned rest = bits % 8;
    return rest == 0 || ((a[bits / 8] ^ b[bits / 8]) >> (8 - rest)) == 0;
}

/* A decimal number without sign or needless zeros. */
static bool read_number(const char *text, size_t len, unsigned max, unsigned *out)
{
    unsigned value = 0;
    if (len == 0 || len > 5 || (text[0] == '0' && len > 1))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    *out = value;
    return value <= max;
}

/* A numeric host; *bits becomes the number of bits that its own family has. */
static bool read_host(const char *text, size_t len, struct bytes *out, unsigned *bits)
{
    char host[HOST_SIZE];
    struct in_addr four;
    if (len == 0 || len >= sizeof(host))
        return false;
    memcpy(host, text, len);
    host[len] = '\0';
    if (strlen(host) != len)
        return false;
    if (inet_pton(AF_INET, host, &four) == 1) {
        *out = from_ipv4(&four);
        *bits = 32;
        return true;
    }
    *bits = 128;
    return inet_pton(AF_INET6, host, out->b) == 1;
}

static bool read_network(const char *text, size_t len, struct network *out)
{
    const char *slash = memchr(text, '/', len);
    size_t host_len = slash ? (size_t)(slash - text) : len;
    unsigned family_bits, bits;
    if (!read_host(text, host_len, &out->base, &family_bits))
        return false;
    bits = family_bits;
    if (slash && !read_number(slash + 1, len - host_len - 1, family_bits, &bits))
        return false;
    out->bits = bits + 128 - family_bits;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

enum rb_err rb_networks_parse(const char *text, struct rb_networks **out, const char **bad)
{
    size_t most = 1;
    for (const char *c = text; *c; c++)
        most += *c == ',';
    struct rb_networks *nets = calloc(1, sizeof(*nets) + most * sizeof(nets->list[0]));
    if (!nets)
        return RB_ERR_NOMEM;
    const char *start = text + strspn(text, " \t");
    bool more = *start != '\0'; /* empty is an empty list */
    while (more) {
        const char *end = start + strcspn(start, ",");
        more = *end == ',';
        const char *next = end + 1;
        start += strspn(start, " \t");
        while (end > start && is_blank(end[-1]))
            end--;
        if (start > end || !read_network(start, (size_t)(end - start), &nets->list[nets->count])) {
            *bad = start;
            free(nets);
            return RB_ERR_INVALID;
        }
        nets->count++;
        start = next;
    }
    *out = nets;
    return RB_OK;
}

void rb_networks_free(struct rb_networks *nets)
{
    free(nets);
}

bool rb_networks_contain(const struct rb_networks *nets, const struct sockaddr *addr)
{
    struct bytes bytes;
    if (!nets || !from_sockaddr(addr, &bytes))
        return false;
    for (size_t i = 0; i < nets->count; i++) {
        const struct network *net = &nets->list[i];
        /* "::/0" is all of IPv6: that IPv4 is kept as a part of it here must not show */
        if (net->bits < 96 && is_ipv4(&bytes))
            continue;
        if (shares_prefix(net->base.b, bytes.b, net->bits))
            return true;
    }
    return false;
}

/* --- which addresses are inside: the registries of special-purpose addresses (RFC 6890 and later) --- */

struct block {
    uint8_t base[4];
    uint8_t bits;
};

static bool in_blocks(const struct block *blocks, size_t n, const uint8_t *addr)
{
    for (size_t i = 0; i < n; i++)
        if (shares_prefix(blocks[i].base, addr, blocks[i].bits))
            return true;
    return false;
}

static bool ipv4_is_inside(const uint8_t *four)
{
    static const struct block blocks[] = {
        {{0}, 8},             /* this network */
        {{10}, 8},            /* private */
        {{100, 64}, 10},      /* shared, of carriers */
        {{127}, 8},           /* loopback */
        {{169, 254}, 16},     /* link-local, metadata of clouds */
        {{172, 16}, 12},      /* private */
        {{192, 0, 0}, 24},    /* protocol assignments */
        {{192, 0, 2}, 24},    /* documentation */
        {{192, 88, 99}, 24},  /* former relays of 6to4 */
        {{192, 168}, 16},     /* private */
        {{198, 18}, 15},      /* benchmarks */
        {{198, 51, 100}, 24}, /* documentation */
        {{203, 0, 113}, 24},  /* documentation */
        {{224}, 3},           /* multicast, reserved, broadcast */
    };
    return in_blocks(blocks, sizeof(blocks) / sizeof(blocks[0]), four);
}

static bool ipv6_is_inside(const uint8_t *addr)
{
    static const struct block blocks[] = {
        {{0x20, 0x01, 0x00}, 23},       /* protocol assignments, Teredo among them */
        {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
        {{0x3f, 0xff, 0x00}, 20},       /* documentation */
    };
    static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    if (memcmp(addr, mapped_prefix, 12) == 0 || memcmp(addr, nat64, 12) == 0)
        return ipv4_is_inside(addr + 12);
    if (addr[0] == 0x20 && addr[1] == 0x02) /* 6to4 */
        return ipv4_is_inside(addr + 2);
    if (addr[0] >> 5 != 1) /* only 2000::/3 is given out to the world */
        return true;
    return in_blocks(blocks, sizeof(blocks) / sizeof(blocks[0]), addr);
}

bool rb_addr_is_inside(const struct sockaddr *addr)
{
    struct bytes bytes;
    return !from_sockaddr(addr, &bytes) || ipv6_is_inside(bytes.b);
}

enum rb_err rb_addr_parse(const char *text, struct sockaddr_storage *out, socklen_t *len)
{
    const char *colon = strrchr(text, ':');
    unsigned port, bits = 32;
    struct bytes addr;
    if (!colon || !read_number(colon + 1, strlen(colon + 1), 65535, &port))
        return RB_ERR_INVALID;
    size_t host_len = (size_t)(colon - text);
    if (host_len > 2 && text[0] == '[' && colon[-1] == ']') {
        if (!read_host(text + 1, host_len - 2, &addr, &bits) || bits != 128)
            return RB_ERR_INVALID;
    } else if (host_len == 1 && text[0] == '*') {
        addr = from_ipv4((const uint8_t[4]){0});
    } else if (host_len == 9 && memcmp(text, "localhost", 9) == 0) {
        addr = from_ipv4((const uint8_t[4]){127, 0, 0, 1});
    } else if (!read_host(text, host_len, &addr, &bits) || bits != 32) {
        return RB_ERR_INVALID;
    }
    memset(out, 0, sizeof(*out));
    if (bits == 32) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        memcpy(&in.sin_addr, addr.b + 12, 4);
        memcpy(out, &in, sizeof(in));
        *len = sizeof(in);
    } else {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
        memcpy(&in6.sin6_addr, addr.b, 16);
        memcpy(out, &in6, sizeof(in6));
        *len = sizeof(in6);
    }
    return RB_OK;
}

void rb_addr_format(const struct sockaddr *addr, bool with_port, char out[RB_ADDR_SIZE])
{
    struct bytes bytes;
    char host[INET6_ADDRSTRLEN];
    if (!from_sockaddr(addr, &bytes)) {
        snprintf(out, RB_ADDR_SIZE, "%s", addr->sa_family == AF_UNIX ? "unix" : "unknown");
        return;
    }
    struct sockaddr_in6 in6; /* the port lies at the same place in both families */
    memcpy(&in6, addr, sizeof(struct sockaddr_in));
    unsigned port = ntohs(in6.sin6_port);
    if (is_ipv4(&bytes)) {
        RB_INVARIANT(inet_ntop(AF_INET, bytes.b + 12, host, sizeof(host)) != NULL);
        snprintf(out, RB_ADDR_SIZE, with_port ? "%s:%u" : "%s", host, port);
    } else {
        RB_INVARIANT(inet_ntop(AF_INET6, bytes.b, host, sizeof(host)) != NULL);
        snprintf(out, RB_ADDR_SIZE, with_port ? "[%s]:%u" : "%s", host, port);
    }
}
