/*
 * The checks of form: attributes first (400), then the type, then data as a whole with every fault in it
 * (422). What needs a look-up (is there such a retailer) is the database's. Called by the gateway adapters.
 */
#include "server/intake/event.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

enum {
    ATTRIBUTE_BYTES = 1024, /* of source and id: they are a key for ever, and an index row has its limits */
    LINES_MOST = 200,
    CARTONS_MOST = 100000,
    TEXT_CHARACTERS = 4000,
    CODE_CHARACTERS = 100,
    NOTE_CHARACTERS = 1000,
    CALL_CHARACTERS = 255,
    PARTY_CHARACTERS = 1000, /* a SIP URI may be long, and nobody is refused for who calls */
    LINK_CHARACTERS = 2000,
    SECONDS_MOST = 1000000000,
    ERRORS_BYTES = 16384
};

static const struct event_type {
    const char *type;
    enum rb_event_kind kind;
    int state;
} types[] = {
    {"ringback.order.placed", RB_EVENT_ORDER, 0}, {"ringback.complaint.raised", RB_EVENT_COMPLAINT, 0},
    {"ringback.call.ringing", RB_EVENT_CALL, 1},  {"ringback.call.answered", RB_EVENT_CALL, 2},
    {"ringback.call.ended", RB_EVENT_CALL, 3},
};

/* The event under construction: the block its texts lie in, and where faults go. */
struct maker {
    struct rb_event *event;
    char *next; /* free room in the block */
    char *end;
    struct rb_refusal *why;
    bool faulty;
};

void rb_refusal_init(struct rb_refusal *refusal)
{
    *refusal = (struct rb_refusal){0};
    rb_buf_init(&refusal->errors, ERRORS_BYTES);
}

void rb_refusal_deinit(struct rb_refusal *refusal)
{
    rb_buf_deinit(&refusal->errors);
}

void rb_refuse(struct rb_refusal *refusal, int status, const char *code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(refusal->detail, sizeof(refusal->detail), fmt, ap);
    va_end(ap);
    refusal->status = status;
    refusal->code = code;
}

/* Adds a fault in data. Faults that no longer fit into the answer are left out; the first ones are there. */
static void RB_PRINTF(3, 4) fault(struct maker *maker, const char *pointer, const char *fmt, ...)
{
    struct rb_buf *errors = &maker->why->errors;
    char detail[160];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(detail, sizeof(detail), fmt, ap);
    va_end(ap);
    if (!maker->faulty)
        rb_refuse(maker->why, 422, "invalid-data", "data%s%s: %s", *pointer ? " " : "", pointer, detail);
    maker->faulty = true;
    if (errors->len + 400 > errors->cap)
        return;
    rb_buf_char(errors, errors->len ? ',' : '[');
    rb_buf_str(errors, "{\"pointer\":");
    rb_buf_json(errors, pointer);
    rb_buf_str(errors, ",\"code\":\"invalid-data\",\"detail\":");
    rb_buf_json(errors, detail);
    rb_buf_char(errors, '}');
}

static const char *keep(struct maker *maker, const char *text, size_t len)
{
    RB_INVARIANT((size_t)(maker->end - maker->next) > len);
    char *at = maker->next;
    memcpy(at, text, len);
    at[len] = '\0';
    maker->next += len + 1;
    return at;
}

static size_t characters(const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

/*
 * An optional text member: NULL when absent or null. A wrong type, less than least or more than most
 * characters is a fault.
 */
static const char *text_member(struct maker *maker, const json_t *data, const char *key, size_t least,
                               size_t most)
{
    const json_t *value = json_object_get(data, key);
    char pointer[32];
    snprintf(pointer, sizeof(pointer), "/%s", key);
    if (!value || json_is_null(value))
        return NULL;
    if (!json_is_string(value)) {
        fault(maker, pointer, "must be a string");
        return NULL;
    }
    size_t len = json_string_length(value);
    size_t n = characters(json_string_value(value), len);
    if (n < least || n > most) {
        fault(maker, pointer, "must have %zu to %zu characters, has %zu", least, most, n);
        return NULL;
    }
    return keep(maker, json_string_value(value), len);
}

static const char *required_text(struct maker *maker, const json_t *data, const char *key, size_t least,
                                 size_t most)
{
    const json_t *value = json_object_get(data, key);
    char pointer[32];
    if (value && !json_is_null(value))
        return text_member(maker, data, key, least, most);
    snprintf(pointer, sizeof(pointer), "/%s", key);
    fault(maker, pointer, "is missing");
    return NULL;
}

static const char *choice(struct maker *maker, const json_t *data, const char *key,
                          const char *const *choices)
{
    char pointer[32];
    const char *text = text_member(maker, data, key, 0, CODE_CHARACTERS);
    if (!text)
        return NULL;
    for (const char *const *c = choices; *c; c++)
        if (!strcmp(*c, text))
            return *c;
    snprintf(pointer, sizeof(pointer), "/%s", key);
    fault(maker, pointer, "is none of the values it may have");
    return NULL;
}

static void read_party(struct maker *maker, const json_t *data, const char *area_code)
{
    struct rb_event *event = maker->event;
    event->retailer = text_member(maker, data, "retailer", 0, PARTY_CHARACTERS);
    event->caller = text_member(maker, data, "caller", 0, PARTY_CHARACTERS);
    event->call = text_member(maker, data, "call", 1, CALL_CHARACTERS);
    event->operator= text_member(maker, data, "operator", 1, CODE_CHARACTERS);
    const json_t *retailer = json_object_get(data, "retailer");
    const json_t *caller = json_object_get(data, "caller");
    if ((!retailer || json_is_null(retailer)) && (!caller || json_is_null(caller)))
        fault(maker, "", "needs a retailer or a caller");
    if (event->caller && !rb_phone_normalize(event->caller, strlen(event->caller), area_code, event->phone))
        event->phone[0] = '\0';
}

static void read_line(struct maker *maker, const json_t *item, size_t i, struct rb_event_line *line)
{
    char pointer[48];
    int64_t cartons;
    const json_t *product = json_object_get(item, "product");
    size_t len = product && json_is_string(product) ? json_string_length(product) : 0;
    if (!json_is_object(item)) {
        snprintf(pointer, sizeof(pointer), "/lines/%zu", i);
        fault(maker, pointer, "must be an object");
        return;
    }
    snprintf(pointer, sizeof(pointer), "/lines/%zu/product", i);
    if (!product)
        fault(maker, pointer, "is missing");
    else if (!len || characters(json_string_value(product), len) > CODE_CHARACTERS)
        fault(maker, pointer, "must be a string of 1 to %d characters", CODE_CHARACTERS);
    else
        line->product = keep(maker, json_string_value(product), len);
    snprintf(pointer, sizeof(pointer), "/lines/%zu/cartons", i);
    if (!rb_json_whole(json_object_get(item, "cartons"), 1, CARTONS_MOST, &cartons))
        fault(maker, pointer, "must be a whole number from 1 to %d", CARTONS_MOST);
    else
        line->cartons = (int)cartons;
}

static int by_product(const void *a, const void *b)
{
    const struct rb_event_line *const *x = a;
    const struct rb_event_line *const *y = b;
    int order = strcmp((*x)->product, (*y)->product);
    return order ? order : (*x > *y) - (*x < *y);
}

static void find_twins(struct maker *maker, const struct rb_event_line *lines, size_t n)
{
    const struct rb_event_line *sorted[LINES_MOST];
    size_t count = 0;
    char pointer[48];
    for (size_t i = 0; i < n; i++)
        if (lines[i].product)
            sorted[count++] = &lines[i];
    qsort(sorted, count, sizeof(sorted[0]), by_product);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(sorted[i - 1]->product, sorted[i]->product) != 0)
            continue;
        snprintf(pointer, sizeof(pointer), "/lines/%zu/product", (size_t)(sorted[i] - lines));
        fault(maker, pointer, "is named twice, first in line %zu", (size_t)(sorted[i - 1] - lines));
    }
}

static void read_order(struct maker *maker, const json_t *data, const char *area_code)
{
    struct rb_event_order *order = &maker->event->order;
    const json_t *lines = json_object_get(data, "lines");
    read_party(maker, data, area_code);
    order->note = text_member(maker, data, "note", 0, NOTE_CHARACTERS);
    order->n = json_array_size(lines);
    if (!json_is_array(lines) || order->n < 1 || order->n > LINES_MOST) {
        fault(maker, "/lines", lines ? "must be an array of 1 to %d lines" : "is missing: 1 to %d lines",
              LINES_MOST);
        order->n = 0;
        return;
    }
    for (size_t i = 0; i < order->n; i++)
        read_line(maker, json_array_get(lines, i), i, &order->lines[i]);
    find_twins(maker, order->lines, order->n);
}

static void read_complaint(struct maker *maker, const json_t *data, const char *area_code)
{
    static const char *const kinds[] = {"complaint", "opinion", "request", "suggestion",
                                        "inquiry",   "report",  NULL};
    struct rb_event_complaint *complaint = &maker->event->complaint;
    const json_t *severity = json_object_get(data, "severity");
    int64_t grade = 0;
    read_party(maker, data, area_code);
    complaint->text = required_text(maker, data, "text", 1, TEXT_CHARACTERS);
    complaint->kind = choice(maker, data, "kind", kinds);
    if (!complaint->kind)
        complaint->kind = kinds[0];
    complaint->category = text_member(maker, data, "category", 1, CODE_CHARACTERS);
    complaint->order = text_member(maker, data, "order", 0, CODE_CHARACTERS);
    if (severity && !json_is_null(severity) && !rb_json_whole(severity, 1, 3, &grade))
        fault(maker, "/severity", "must be 1, 2 or 3");
    complaint->severity = (int)grade;
}

static void read_seconds(struct maker *maker, const json_t *data)
{
    struct rb_event_call *call = &maker->event->called;
    const json_t *seconds = json_object_get(data, "seconds");
    double value = json_real_value(seconds);
    call->seconds = -1;
    if (call->state != 3)
        return;
    if (!seconds)
        fault(maker, "/seconds", "is missing");
    else if (!json_is_real(seconds) || value < 0 || value > SECONDS_MOST)
        fault(maker, "/seconds", "must be a number of seconds, 0 or more");
    else
        call->seconds = (int)value;
}

static void read_call(struct maker *maker, const json_t *data, const char *area_code)
{
    static const char *const directions[] = {"inbound", "outbound", NULL};
    struct rb_event_call *call = &maker->event->called;
    maker->event->call = required_text(maker, data, "call", 1, CALL_CHARACTERS);
    call->direction = choice(maker, data, "direction", directions);
    const json_t *direction = json_object_get(data, "direction");
    if (!direction || json_is_null(direction))
        fault(maker, "/direction", "is missing");
    call->from = required_text(maker, data, "from", 0, PARTY_CHARACTERS);
    call->to = required_text(maker, data, "to", 0, PARTY_CHARACTERS);
    read_seconds(maker, data);
    if (call->state == 3) {
        call->cause = text_member(maker, data, "cause", 0, CALL_CHARACTERS);
        call->recording = text_member(maker, data, "recording", 0, LINK_CHARACTERS);
    }
    if (call->from && !rb_phone_normalize(call->from, strlen(call->from), area_code, call->from_phone))
        call->from_phone[0] = '\0';
    if (call->to && !rb_phone_normalize(call->to, strlen(call->to), area_code, call->to_phone))
        call->to_phone[0] = '\0';
}

static bool has(const char *text)
{
    return text && *text;
}

static enum rb_err check_attributes(const struct rb_attributes *a, struct rb_refusal *why, int64_t *time)
{
    if (!has(a->specversion) || !has(a->id) || !has(a->source) || !has(a->type)) {
        rb_refuse(why, 400, "invalid-event", "the attribute %s is missing or empty",
                  !has(a->specversion) ? "specversion"
                  : !has(a->id)        ? "id"
                  : !has(a->source)    ? "source"
                                       : "type");
        return RB_ERR_INVALID;
    }
    if (strcmp(a->specversion, "1.0") != 0) {
        rb_refuse(why, 400, "invalid-event", "specversion must be 1.0");
        return RB_ERR_INVALID;
    }
    if (strlen(a->id) > ATTRIBUTE_BYTES || strlen(a->source) > ATTRIBUTE_BYTES) {
        rb_refuse(why, 400, "invalid-event", "id and source may have %d bytes each", ATTRIBUTE_BYTES);
        return RB_ERR_INVALID;
    }
    if (a->time && rb_time_parse(a->time, strlen(a->time), time) != RB_OK) {
        rb_refuse(why, 400, "invalid-event", "time is no RFC 3339 date and time");
        return RB_ERR_INVALID;
    }
    return RB_OK;
}

static const struct event_type *find_type(const char *name)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (!strcmp(types[i].type, name))
            return &types[i];
    return NULL;
}

/* One block for the event, its lines and its texts; a decoded text is never longer than its JSON. */
static void allocate(struct maker *maker, const struct rb_attributes *a, const json_t *data, size_t text)
{
    size_t lines = json_array_size(json_object_get(data, "lines"));
    if (lines > LINES_MOST)
        lines = 0;
    size_t size = sizeof(struct rb_event) + lines * sizeof(struct rb_event_line) + strlen(a->id) +
                  strlen(a->source) + 2 * text + lines + 64;
    struct rb_event *event = calloc(1, size);
    RB_INVARIANT(event != NULL);
    maker->event = event;
    maker->next = (char *)(event + 1) + lines * sizeof(struct rb_event_line);
    maker->end = (char *)event + size;
    event->order.lines = (struct rb_event_line *)(event + 1);
}

enum rb_err rb_event_new(const struct rb_attributes *attributes, const json_t *data, struct rb_span text,
                         const char *area_code, struct rb_event **out, struct rb_refusal *why)
{
    int64_t time = 0;
    struct maker maker = {.why = why};
    enum rb_err err = check_attributes(attributes, why, &time);
    if (err != RB_OK)
        return err;
    const struct event_type *type = find_type(attributes->type);
    if (!type) {
        rb_refuse(why, 422, "unknown-type", "no event type of this name is known here");
        return RB_ERR_INVALID;
    }
    if (!json_is_object(data)) {
        fault(&maker, "", data ? "must be an object" : "is missing");
        rb_buf_char(&why->errors, ']');
        return RB_ERR_INVALID;
    }
    allocate(&maker, attributes, data, text.len);
    struct rb_event *event = maker.event;
    event->kind = type->kind;
    event->type = type->type;
    event->source = keep(&maker, attributes->source, strlen(attributes->source));
    event->id = keep(&maker, attributes->id, strlen(attributes->id));
    event->has_time = attributes->time != NULL;
    event->time = time;
    event->data = keep(&maker, text.text, text.len);
    event->data_len = text.len;
    switch (type->kind) {
    case RB_EVENT_ORDER:
        read_order(&maker, data, area_code);
        break;
    case RB_EVENT_COMPLAINT:
        event->order.lines = NULL;
        read_complaint(&maker, data, area_code);
        break;
    case RB_EVENT_CALL:
        event->order.lines = NULL;
        event->called.state = type->state;
        read_call(&maker, data, area_code);
        break;
    }
    if (maker.faulty) {
        rb_buf_char(&why->errors, ']');
        free(event);
        return RB_ERR_INVALID;
    }
    err = rb_json_hash(event->type, data, event->hash);
    RB_INVARIANT(err == RB_OK);
    *out = event;
    return RB_OK;
}

void rb_event_free(struct rb_event *event)
{
    free(event);
}
