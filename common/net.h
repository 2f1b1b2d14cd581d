/*
 * Addresses and networks: "host:port" texts, CIDR lists, and which addresses are inside (loopback, private,
 * link-local and their like). Used by the listeners, trusted_proxies and the guard on outgoing connections.
 */
#ifndef RB_COMMON_NET_H
#define RB_COMMON_NET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "common/err.h"

#define RB_ADDR_SIZE 64 /* text of an address with port, NUL included */

struct rb_networks; /* a list of CIDR networks */

/* text: comma-separated "10.0.0.0/8", "127.0.0.1", "fd00::/8"; empty is an empty list. RB_ERR_INVALID names
 * nothing it could not read: *bad points into text at the part at fault. */
enum rb_err rb_networks_parse(const char *text, struct rb_networks **out, const char **bad) RB_MUST_CHECK;
void rb_networks_free(struct rb_networks *nets);
/* IPv4-mapped IPv6 addresses count as their IPv4 address. */
bool rb_networks_contain(const struct rb_networks *nets, const struct sockaddr *addr);

/* True when addr is loopback, private, link-local, shared (100.64/10), unspecified, multicast, reserved or
 * documentation, in IPv4, in IPv6, or in IPv4 wrapped in IPv6 (mapped, NAT64, 6to4). */
bool rb_addr_is_inside(const struct sockaddr *addr);

/* "127.0.0.1:8080", "[::1]:8080", "*:8080" (all IPv4). Numeric hosts and "localhost" only. */
enum rb_err rb_addr_parse(const char *text, struct sockaddr_storage *out, socklen_t *len) RB_MUST_CHECK;
/* with_port false: the address alone. */
void rb_addr_format(const struct sockaddr *addr, bool with_port, char out[RB_ADDR_SIZE]);

#endif
