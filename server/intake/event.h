/*
 * An event as intake wants it: checked, in our own words, independent of how it travelled. Made by
 * rb_event_new from CloudEvents attributes and a parsed data value; pure, without HTTP or database. Rules:
 * docs/events.md.
 */
#ifndef RB_SERVER_INTAKE_EVENT_H
#define RB_SERVER_INTAKE_EVENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"
#include "common/phone.h"
#include "common/span.h"

enum rb_event_kind { RB_EVENT_ORDER, RB_EVENT_COMPLAINT, RB_EVENT_CALL };

struct rb_event_line {
    const char *product;
    int cartons;
};

struct rb_event_order {
    const char *note;
    struct rb_event_line *lines;
    size_t n;
};

struct rb_event_complaint {
    const char *text;
    const char *kind;
    const char *category;
    const char *order;
    int severity; /* 0: not given */
};

struct rb_event_call {
    int state; /* 1 ringing, 2 answered, 3 ended */
    const char *direction;
    const char *from;
    const char *to;
    char from_phone[RB_PHONE_SIZE]; /* "" when it is none */
    char to_phone[RB_PHONE_SIZE];
    int seconds; /* -1: not given */
    const char *cause;
    const char *recording;
};

/* All texts lie in one block with the event; absent ones are NULL. */
struct rb_event {
    enum rb_event_kind kind;
    const char *type;
    const char *source;
    const char *id;
    bool has_time;
    int64_t time; /* wall, µs */
    uint8_t hash[RB_HASH_SIZE];
    const char *data; /* JSON text as it came */
    size_t data_len;
    const char *retailer; /* order, complaint */
    const char *caller;
    char phone[RB_PHONE_SIZE]; /* the caller's, "" when it is none */
    const char *call;
    const char *operator;
    union {
        struct rb_event_order order;
        struct rb_event_complaint complaint;
        struct rb_event_call called;
    };
};

/* CloudEvents context attributes that matter here, decoded UTF-8; NULL when absent. */
struct rb_attributes {
    const char *specversion;
    const char *type;
    const char *source;
    const char *id;
    const char *time;
};

/* Why an event was refused before it reached the database. */
struct rb_refusal {
    int status; /* 400 or 422 */
    const char *code;
    char detail[200];
    struct rb_buf errors; /* JSON array of {"pointer", "code", "detail"}, or empty; rb_refusal_deinit frees */
};
void rb_refusal_init(struct rb_refusal *refusal);
void rb_refusal_deinit(struct rb_refusal *refusal);
/* Sets status, code and detail. */
void rb_refuse(struct rb_refusal *refusal, int status, const char *code, const char *fmt, ...)
    RB_PRINTF(4, 5);

/*
 * Checks the attributes and data (NULL: absent) and makes the event. text: data's JSON text as it came.
 * area_code: the branch's, completes local numbers; may be NULL. RB_ERR_INVALID fills why. The caller frees
 * the event; data may go at once.
 */
enum rb_err rb_event_new(const struct rb_attributes *attributes, const json_t *data, struct rb_span text,
                         const char *area_code, struct rb_event **out, struct rb_refusal *why) RB_MUST_CHECK;
void rb_event_free(struct rb_event *event);

#endif
