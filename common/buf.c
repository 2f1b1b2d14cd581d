/*
 * The growing text buffer of common/buf.h: used to write answers, notifications, metrics and log lines. Grows
 * by doubling up to its cap; never shrinks; never half-adds: an append fits whole or not at all.
 */
#include "common/buf.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 256

/* Makes room for more bytes of content and the NUL; false when it failed, now or before. */
static bool reserve(struct rb_buf *buf, size_t more)
{
    if (buf->err != RB_OK)
        return false;
    if (more > buf->cap - buf->len) {
        buf->err = RB_ERR_TOO_LARGE;
        return false;
    }
    size_t need = buf->len + more + 1;
    if (need <= buf->size)
        return true;
    size_t size = buf->size ? buf->size : FIRST_SIZE;
    while (size < need)
        size *= 2;
    if (size > buf->cap + 1)
        size = buf->cap + 1;
    char *data = realloc(buf->data, size);
    if (!data) {
        buf->err = RB_ERR_NOMEM;
        return false;
    }
    buf->data = data;
    buf->size = size;
    return true;
}

/* Bytes of a character's JSON escape, 0 when it needs none. */
static size_t json_escape(unsigned char c, char out[6])
{
    static const char digits[] = "0123456789abcdef";
    static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* pairs: character, letter of its escape */
    if (c >= 0x20 && c != '"' && c != '\\')
        return 0;
    out[0] = '\\';
    for (size_t i = 0; i + 1 < sizeof(letters); i += 2) {
        if ((unsigned char)letters[i] == c) {
            out[1] = letters[i + 1];
            return 2;
        }
    }
    memcpy(out + 1, "u00", 3);
    out[4] = digits[c >> 4];
    out[5] = digits[c & 15];
    return 6;
}

void rb_buf_init(struct rb_buf *buf, size_t cap)
{
    /* the NUL and doubling must not overflow */
    *buf = (struct rb_buf){.cap = cap < SIZE_MAX / 4 ? cap : SIZE_MAX / 4};
}

void rb_buf_deinit(struct rb_buf *buf)
{
    free(buf->data);
    *buf = (struct rb_buf){.cap = buf->cap};
}

void rb_buf_reset(struct rb_buf *buf)
{
    buf->len = 0;
    buf->err = RB_OK;
    if (buf->data)
        buf->data[0] = '\0';
}

void rb_buf_add(struct rb_buf *buf, const void *data, size_t len)
{
    if (!reserve(buf, len))
        return;
    if (len)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
}

void rb_buf_str(struct rb_buf *buf, const char *text)
{
    rb_buf_add(buf, text, strlen(text));
}

void rb_buf_char(struct rb_buf *buf, char c)
{
    rb_buf_add(buf, &c, 1);
}

void rb_buf_int(struct rb_buf *buf, int64_t number)
{
    char text[24];
    char *at = text + sizeof(text);
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (number < 0)
        *--at = '-';
    rb_buf_add(buf, at, (size_t)(text + sizeof(text) - at));
}

void rb_buf_printf(struct rb_buf *buf, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    size_t room = buf->size ? buf->size - buf->len : 0;
    int len = buf->err == RB_OK ? vsnprintf(room ? buf->data + buf->len : NULL, room, fmt, args) : 0;
    va_end(args);
    if (buf->err != RB_OK)
        return;
    RB_INVARIANT(len >= 0);
    if ((size_t)len >= room) {
        if (!reserve(buf, (size_t)len)) {
            if (room)
                buf->data[buf->len] = '\0';
            return;
        }
        va_start(args, fmt);
        vsnprintf(buf->data + buf->len, (size_t)len + 1, fmt, args);
        va_end(args);
    }
    buf->len += (size_t)len;
}

void rb_buf_json(struct rb_buf *buf, const char *text)
{
    if (text)
        rb_buf_json_n(buf, text, strlen(text));
    else
        rb_buf_add(buf, "null", 4);
}

void rb_buf_json_n(struct rb_buf *buf, const char *text, size_t len)
{
    size_t before = buf->len;
    size_t plain = 0; /* start of what is copied as it is */
    char escape[6];
    rb_buf_char(buf, '"');
    for (size_t i = 0; i < len; i++) {
        size_t n = json_escape((unsigned char)text[i], escape);
        if (!n)
            continue;
        rb_buf_add(buf, text + plain, i - plain);
        rb_buf_add(buf, escape, n);
        plain = i + 1;
    }
    rb_buf_add(buf, text + plain, len - plain);
    rb_buf_char(buf, '"');
    if (buf->err != RB_OK && buf->len != before) {
        buf->len = before;
        buf->data[before] = '\0';
    }
}

enum rb_err rb_buf_err(const struct rb_buf *buf)
{
    return buf->err;
}

char *rb_buf_take(struct rb_buf *buf, size_t *len)
{
    rb_buf_add(buf, "", 0); /* an empty content still is a text */
    char *data = NULL;
    size_t taken = 0;
    if (buf->err == RB_OK) {
        data = buf->data;
        taken = buf->len;
        *buf = (struct rb_buf){.cap = buf->cap};
    }
    if (len)
        *len = taken;
    return data;
}
