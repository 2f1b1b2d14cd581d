/*
 * Parameters in PostgreSQL's binary wire format (what each type's receive function reads): one growing buffer
 * for all values of an execution, with their offsets beside it. Allocation failure ends the process: a batch
 * that cannot be built is no answer.
 */
#include "server/db/param.h"

#include <arpa/inet.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "server/db/internal.h"

enum { OID_BOOL = 16, OID_BYTEA = 17, OID_INT8 = 20, OID_INT4 = 23, OID_TEXT = 25, OID_TIMESTAMPTZ = 1184 };
enum { ARRAY_HEADER = 20, START_SIZE = 4096 };
#define EPOCH_2000 INT64_C(946684800000000) /* µs from 1970 to PostgreSQL's epoch */

struct rb_params {
    char *data;
    size_t len;
    size_t size;
    size_t start[RB_PARAMS_MOST];
    int length[RB_PARAMS_MOST]; /* -1: null */
    int count;
    bool open; /* the last one is an array that still grows */
    enum rb_array kind;
    uint32_t items;
    bool nulls;
};

static char *reserve(struct rb_params *params, size_t len)
{
    if (params->len + len > params->size) {
        size_t size = params->size ? params->size : START_SIZE;
        while (size < params->len + len)
            size *= 2;
        char *data = realloc(params->data, size);
        RB_INVARIANT(data != NULL);
        params->data = data;
        params->size = size;
    }
    char *at = params->data + params->len;
    params->len += len;
    return at;
}

static void put32(struct rb_params *params, uint32_t value)
{
    value = htonl(value);
    memcpy(reserve(params, 4), &value, 4);
}

static void put64(struct rb_params *params, int64_t value)
{
    uint64_t wire = htobe64((uint64_t)value);
    memcpy(reserve(params, 8), &wire, 8);
}

static void close_array(struct rb_params *params)
{
    if (!params->open)
        return;
    static const uint32_t oids[] = {
        [RB_ARRAY_INT4] = OID_INT4,   [RB_ARRAY_INT8] = OID_INT8, [RB_ARRAY_TEXT] = OID_TEXT,
        [RB_ARRAY_BYTEA] = OID_BYTEA, [RB_ARRAY_BOOL] = OID_BOOL, [RB_ARRAY_TIME] = OID_TIMESTAMPTZ};
    uint32_t header[5] = {htonl(1), htonl(params->nulls), htonl(oids[params->kind]), htonl(params->items),
                          htonl(1)};
    int last = params->count - 1;
    memcpy(params->data + params->start[last], header, sizeof(header));
    params->length[last] = (int)(params->len - params->start[last]);
    params->open = false;
}

static void begin(struct rb_params *params)
{
    close_array(params);
    RB_INVARIANT(params->count < RB_PARAMS_MOST);
    params->start[params->count++] = params->len;
}

static void end(struct rb_params *params)
{
    int last = params->count - 1;
    params->length[last] = (int)(params->len - params->start[last]);
}

struct rb_params *rb_params_new(void)
{
    struct rb_params *params = calloc(1, sizeof(*params));
    RB_INVARIANT(params != NULL);
    return params;
}

void rb_params_free(struct rb_params *params)
{
    if (!params)
        return;
    free(params->data);
    free(params);
}

void rb_param_int(struct rb_params *params, int64_t value)
{
    begin(params);
    put64(params, value);
    end(params);
}

void rb_param_text(struct rb_params *params, const char *value)
{
    rb_param_bytes(params, value, value ? strlen(value) : 0);
}

void rb_param_bytes(struct rb_params *params, const void *data, size_t len)
{
    begin(params);
    if (len)
        memcpy(reserve(params, len), data, len);
    end(params);
    if (!data)
        params->length[params->count - 1] = -1;
}

void rb_param_bool(struct rb_params *params, bool value)
{
    begin(params);
    *reserve(params, 1) = value;
    end(params);
}

void rb_param_time(struct rb_params *params, int64_t wall_us)
{
    rb_param_int(params, wall_us - EPOCH_2000);
}

void rb_param_array(struct rb_params *params, enum rb_array kind)
{
    begin(params);
    reserve(params, ARRAY_HEADER);
    params->open = true;
    params->kind = kind;
    params->items = 0;
    params->nulls = false;
}

static void item(struct rb_params *params, uint32_t len)
{
    RB_INVARIANT(params->open);
    params->items++;
    put32(params, len);
}

void rb_item_int(struct rb_params *params, int64_t value)
{
    if (params->kind == RB_ARRAY_INT8) {
        item(params, 8);
        put64(params, value);
        return;
    }
    RB_INVARIANT(params->kind == RB_ARRAY_INT4 && value >= INT32_MIN && value <= INT32_MAX);
    item(params, 4);
    put32(params, (uint32_t)(int32_t)value);
}

void rb_item_text(struct rb_params *params, const char *value)
{
    if (value)
        rb_item_text_n(params, value, strlen(value));
    else
        rb_item_null(params);
}

void rb_item_text_n(struct rb_params *params, const char *value, size_t len)
{
    RB_INVARIANT(params->kind == RB_ARRAY_TEXT);
    item(params, (uint32_t)len);
    if (len)
        memcpy(reserve(params, len), value, len);
}

void rb_item_bytes(struct rb_params *params, const void *data, size_t len)
{
    RB_INVARIANT(params->kind == RB_ARRAY_BYTEA);
    item(params, (uint32_t)len);
    if (len)
        memcpy(reserve(params, len), data, len);
}

void rb_item_bool(struct rb_params *params, bool value)
{
    RB_INVARIANT(params->kind == RB_ARRAY_BOOL);
    item(params, 1);
    *reserve(params, 1) = value;
}

void rb_item_time(struct rb_params *params, int64_t wall_us)
{
    RB_INVARIANT(params->kind == RB_ARRAY_TIME);
    item(params, 8);
    put64(params, wall_us - EPOCH_2000);
}

void rb_item_null(struct rb_params *params)
{
    item(params, UINT32_MAX);
    params->nulls = true;
}

int rb_params_wire(struct rb_params *params, const char **values, int *lengths, int *formats)
{
    if (!params)
        return 0;
    close_array(params);
    for (int i = 0; i < params->count; i++) {
        values[i] = params->length[i] < 0 ? NULL : params->data + params->start[i];
        lengths[i] = params->length[i];
        formats[i] = 1;
    }
    return params->count;
}
