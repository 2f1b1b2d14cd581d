/*
 * The work that every side of the comparison does: orders of five lines by a random retailer for random
 * products, each event with an id of its own. load sends them over HTTP, batched straight to PostgreSQL.
 */
#ifndef RB_BENCH_ORDERS_H
#define RB_BENCH_ORDERS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { ORDER_LINES = 5, ORDER_CARTONS = 10, ORDER_JSON_SIZE = 512 };

struct codes {
    char *text; /* the file */
    const char **code;
    size_t n;
};

/* Reads a file of codes, one a line; ends the process with a message when there are fewer than least. */
void codes_read(struct codes *codes, const char *path, size_t least);
void codes_free(struct codes *codes);

struct order {
    const char *retailer;
    const char *product[ORDER_LINES]; /* no product twice */
    int cartons[ORDER_LINES];         /* 1 to ORDER_CARTONS */
};

/* seed: any text; the same one gives the same orders. */
uint64_t order_seed(const char *text);
struct order order_next(uint64_t *random, const struct codes *retailers, const struct codes *products);
/* The event's data; gives the length. */
size_t order_json(const struct order *order, char out[ORDER_JSON_SIZE]);

/* The ledger: a line "id<TAB>reference" for every acknowledged event; reference 0: its fate is not known. */
void ledger_write(FILE *ledger, uint64_t id, uint64_t reference);
/* The first reference named in an answer, or 0. */
uint64_t reference_in(const char *answer, size_t len);

#endif
