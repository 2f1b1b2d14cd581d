/*
 * One row of the table of settings: how its text is checked, kept in a struct and written again. Used by
 * common/config alone.
 */
#ifndef RB_COMMON_SETTING_H
#define RB_COMMON_SETTING_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

enum rb_setting_type {
    RB_SETTING_TEXT,
    RB_SETTING_PATH,     /* absolute or relative to the working folder; may be empty */
    RB_SETTING_URL,      /* http or https; slashes at its end are dropped */
    RB_SETTING_ADDRESS,  /* for rb_addr_parse */
    RB_SETTING_NETWORKS, /* for rb_networks_parse */
    RB_SETTING_TIMEZONE, /* a name of the machine's time zone files */
    RB_SETTING_LEVEL,    /* of the log */
    RB_SETTING_RELAY,    /* smtp or smtps, or empty */
    RB_SETTING_MAIL,     /* an e-mail address, or empty */
    RB_SETTING_TLS,      /* of the mail relay */
    RB_SETTING_BOOL,
    RB_SETTING_INT
};

struct rb_setting {
    size_t offset; /* of a char *, bool or int in the struct, by type */
    const char *name;
    enum rb_setting_type type;
    const char *initial; /* default as text */
    int lo, hi;          /* of RB_SETTING_INT */
    bool reloadable;
    const char *help;
};

/* Checks value and keeps a copy in into. RB_ERR_INVALID: why (size bytes) says what it must be; the old value
 * stays. */
enum rb_err rb_setting_put(const struct rb_setting *row, void *into, const char *value, char *why,
                           size_t size) RB_MUST_CHECK;
/* Appends the value as it would be read again. */
void rb_setting_write(const struct rb_setting *row, const void *from, struct rb_buf *out);
/* Frees the value. */
void rb_setting_clear(const struct rb_setting *row, void *in);
/* A word or two for people: "whole number". */
const char *rb_setting_type_name(const struct rb_setting *row);

#endif
