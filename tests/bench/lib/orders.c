/*
 * Random orders and the ledger of bench programs. The codes come from files that the driver writes out of the
 * database, so that no side knows how they are made.
 */
#include "tests/bench/lib/orders.h"

#include <err.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static char *read_file(const char *path, size_t *len)
{
    FILE *in = fopen(path, "r");
    char *text = NULL;
    size_t size = 0;
    if (!in)
        err(1, "%s", path);
    ssize_t got = getdelim(&text, &size, '\0', in);
    if (got < 0)
        errx(1, "%s is empty", path);
    fclose(in);
    *len = (size_t)got;
    return text;
}

void codes_read(struct codes *codes, const char *path, size_t least)
{
    size_t len, lines = 0;
    char *save = NULL;
    codes->text = read_file(path, &len);
    for (size_t i = 0; i < len; i++)
        lines += codes->text[i] == '\n';
    codes->code = calloc(lines + 1, sizeof(*codes->code));
    if (!codes->code)
        err(1, "%s", path);
    codes->n = 0;
    for (char *line = strtok_r(codes->text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        codes->code[codes->n++] = line;
    if (codes->n < least)
        errx(1, "%s has %zu codes, fewer than %zu", path, codes->n, least);
}

void codes_free(struct codes *codes)
{
    free(codes->code);
    free(codes->text);
}

uint64_t order_seed(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash | 1;
}

static uint64_t below(uint64_t *random, uint64_t limit)
{
    *random ^= *random >> 12; /* xorshift64* */
    *random ^= *random << 25;
    *random ^= *random >> 27;
    return ((*random * UINT64_C(0x2545f4914f6cdd1d)) >> 32) % limit;
}

static bool has(const struct order *order, size_t n, const char *product)
{
    for (size_t i = 0; i < n; i++)
        if (order->product[i] == product)
            return true;
    return false;
}

struct order order_next(uint64_t *random, const struct codes *retailers, const struct codes *products)
{
    struct order order = {.retailer = retailers->code[below(random, retailers->n)]};
    for (size_t i = 0; i < ORDER_LINES; i++) {
        do
            order.product[i] = products->code[below(random, products->n)];
        while (has(&order, i, order.product[i]));
        order.cartons[i] = 1 + (int)below(random, ORDER_CARTONS);
    }
    return order;
}

size_t order_json(const struct order *order, char out[ORDER_JSON_SIZE])
{
    int len = snprintf(out, ORDER_JSON_SIZE, "{\"retailer\":\"%s\",\"lines\":[", order->retailer);
    for (size_t i = 0; i < ORDER_LINES; i++)
        len += snprintf(out + len, ORDER_JSON_SIZE - (size_t)len, "%s{\"product\":\"%s\",\"cartons\":%d}",
                        i ? "," : "", order->product[i], order->cartons[i]);
    len += snprintf(out + len, ORDER_JSON_SIZE - (size_t)len, "]}");
    return (size_t)len;
}

void ledger_write(FILE *ledger, uint64_t id, uint64_t reference)
{
    fprintf(ledger, "%ju\t%ju\n", (uintmax_t)id, (uintmax_t)reference);
}

uint64_t reference_in(const char *answer, size_t len)
{
    static const char key[] = "\"reference\":\"";
    const char *at = memmem(answer, len, key, sizeof(key) - 1);
    return at ? strtoull(at + sizeof(key) - 1, NULL, 10) : 0;
}
