/*
 * The log of common/log.h: one write(2) a line, so that lines of several processes on one stream never mix.
 * Under systemd's journal a line starts with its level as "<3>" and has no time of its own.
 */
#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/utf8.h"

#define LINE_SIZE 2048   /* of a whole line, line break included */
#define CUT_MARK "[cut]" /* ends a line that would have been longer */

struct line {
    char data[LINE_SIZE];
    size_t len;
    bool cut;
};

static const struct {
    const char *name;
    char journal; /* the level's number in syslog */
} levels[] = {
    [RB_LOG_ERROR] = {"error", '3'},
    [RB_LOG_WARNING] = {"warning", '4'},
    [RB_LOG_INFO] = {"info", '6'},
    [RB_LOG_DEBUG] = {"debug", '7'},
};

static enum rb_log_level threshold = RB_LOG_INFO;

/* systemd names the device and inode of the socket it gave us; stderr may have been redirected since. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat info;
    char mine[64];
    if (!stream || fstat(STDERR_FILENO, &info))
        return false;
    snprintf(mine, sizeof(mine), "%llu:%llu", (unsigned long long)info.st_dev,
             (unsigned long long)info.st_ino);
    return strcmp(stream, mine) == 0;
}

/* Adds a piece whole or not at all; a line that was cut stays as it is. */
static void line_add(struct line *line, const char *data, size_t len)
{
    if (line->cut || len > LINE_SIZE - sizeof(CUT_MARK) - line->len) {
        line->cut = true;
        return;
    }
    memcpy(line->data + line->len, data, len);
    line->len += len;
}

static void line_str(struct line *line, const char *text)
{
    line_add(line, text, strlen(text));
}

/* What could break a line, move a terminal's cursor or turn the order of letters around. */
static bool is_unsafe(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x200e && code <= 0x200f) ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

static void line_escaped(struct line *line, uint32_t code)
{
    char text[16];
    switch (code) {
    case '\n':
        line_str(line, "\\n");
        return;
    case '\r':
        line_str(line, "\\r");
        return;
    case '\t':
        line_str(line, "\\t");
        return;
    default:
        snprintf(text, sizeof(text), code < 0x80 ? "\\x%02x" : "\\u%04x", (unsigned)code);
        line_str(line, text);
    }
}

static void line_text(struct line *line, const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        uint32_t code;
        size_t n = rb_utf8_decode(text + i, len - i, &code);
        if (!n) {
            char byte[8];
            snprintf(byte, sizeof(byte), "\\x%02x", (unsigned char)text[i]);
            line_str(line, byte);
            i++;
            continue;
        }
        if (is_unsafe(code))
            line_escaped(line, code);
        else
            line_add(line, text + i, n);
        i += n;
    }
}

static void line_start(struct line *line, enum rb_log_level level, const char *subject)
{
    if (stderr_is_journal()) {
        const char prefix[] = {'<', levels[level].journal, '>'};
        line_add(line, prefix, sizeof(prefix));
    } else {
        char now[RB_TIME_SIZE];
        int64_t wall = rb_clock_wall();
        int64_t ms = (wall % RB_SECOND + RB_SECOND) % RB_SECOND / 1000;
        rb_time_format(wall - (wall % RB_SECOND + RB_SECOND) % RB_SECOND, now);
        char fraction[16];
        snprintf(fraction, sizeof(fraction), ".%03dZ ", (int)ms);
        line_add(line, now, strlen(now) - 1);
        line_str(line, fraction);
    }
    line_str(line, levels[level].name);
    line_add(line, " ", 1);
    line_str(line, subject);
    line_add(line, ": ", 2);
}

static void line_write(struct line *line)
{
    if (line->cut) {
        memcpy(line->data + line->len, CUT_MARK, sizeof(CUT_MARK) - 1);
        line->len += sizeof(CUT_MARK) - 1;
    }
    line->data[line->len++] = '\n';
    const char *at = line->data;
    while (line->len) {
        ssize_t n = write(STDERR_FILENO, at, line->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nowhere is left to say it */
        at += n;
        line->len -= (size_t)n;
    }
}

void rb_log_set_level(enum rb_log_level level)
{
    threshold = level;
}

enum rb_log_level rb_log_level(void)
{
    return threshold;
}

enum rb_err rb_log_level_parse(const char *word, enum rb_log_level *level)
{
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (strcmp(word, levels[i].name) == 0) {
            *level = (enum rb_log_level)i;
            return RB_OK;
        }
    }
    return RB_ERR_INVALID;
}

void rb_log(enum rb_log_level level, const char *subject, const char *fmt, ...)
{
    if (level > threshold)
        return;
    int saved = errno;
    char text[LINE_SIZE];
    struct line line = {.len = 0};
    va_list args;
    va_start(args, fmt);
    errno = saved; /* for %m */
    int len = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (len >= 0) {
        line_start(&line, level, subject);
        line_text(&line, text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
        line.cut |= (size_t)len >= sizeof(text);
        line_write(&line);
    }
    errno = saved;
}

const char *rb_log_phone(const char *phone, char out[8])
{
    size_t len = phone ? strlen(phone) : 0;
    bool digits = len > 4; /* of a short number two digits would be half of it */
    for (size_t i = len > 2 ? len - 2 : 0; i < len; i++)
        digits = digits && phone[i] >= '0' && phone[i] <= '9';
    snprintf(out, 8, "***%s", digits ? phone + len - 2 : "");
    return out;
}
