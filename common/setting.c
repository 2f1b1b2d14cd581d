/*
 * Settings of common/setting.h: everything that can be wrong about a value is found here, when a program
 * starts, and not by the room that uses it later.
 */
#include "common/setting.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mail.h"
#include "common/net.h"
#include "common/utf8.h"

#define ZONE_FOLDER "/usr/share/zoneinfo/"

static const char *const type_names[] = {
    [RB_SETTING_TEXT] = "text",
    [RB_SETTING_PATH] = "path",
    [RB_SETTING_URL] = "URL",
    [RB_SETTING_ADDRESS] = "address with port",
    [RB_SETTING_NETWORKS] = "networks",
    [RB_SETTING_TIMEZONE] = "time zone",
    [RB_SETTING_LEVEL] = "error, warning, info or debug",
    [RB_SETTING_RELAY] = "URL of a relay",
    [RB_SETTING_MAIL] = "e-mail address",
    [RB_SETTING_TLS] = "try, require or none",
    [RB_SETTING_BOOL] = "true or false",
    [RB_SETTING_INT] = "whole number",
};

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_printable(const char *text)
{
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return false;
    return rb_utf8_valid(text, strlen(text));
}

/* "example.org", "127.0.0.1" or "[::1]", then perhaps ":8080"; returns what follows, or NULL. */
static const char *skip_authority(const char *at)
{
    const char *host = at;
    if (*at == '[') {
        at += strspn(at, "[0123456789abcdefABCDEF:.");
        if (*at++ != ']')
            return NULL;
    } else {
        while (is_letter_or_digit(*at) || *at == '.' || *at == '-')
            at++;
    }
    if (at == host)
        return NULL;
    if (*at == ':') {
        char *end;
        long port = strtol(at + 1, &end, 10);
        if (end - at < 2 || end - at > 6 || port < 1 || port > 65535 || at[1] < '0' || at[1] > '9')
            return NULL;
        at = end;
    }
    return at;
}

static bool is_url(const char *text)
{
    const char *at = text;
    if (strncmp(at, "http://", 7) == 0)
        at += 7;
    else if (strncmp(at, "https://", 8) == 0)
        at += 8;
    else
        return false;
    at = skip_authority(at);
    if (!at || (*at && *at != '/'))
        return false;
    for (; *at; at++)
        if (!is_letter_or_digit(*at) && !strchr("/-._~%", *at))
            return false;
    return true;
}

static bool is_relay(const char *text)
{
    size_t scheme = strncmp(text, "smtps://", 8) == 0 ? 8 : strncmp(text, "smtp://", 7) == 0 ? 7 : 0;
    const char *end = scheme ? skip_authority(text + scheme) : NULL;
    return !*text || (end && !*end);
}

static bool is_tls(const char *text)
{
    return strcmp(text, "try") == 0 || strcmp(text, "require") == 0 || strcmp(text, "none") == 0;
}

static bool is_timezone(const char *name)
{
    char path[128], magic[4];
    for (const char *c = name; *c; c++)
        if (!is_letter_or_digit(*c) && !strchr("/_+-", *c))
            return false;
    if (!*name || *name == '/' || strlen(name) > 64)
        return false;
    snprintf(path, sizeof(path), ZONE_FOLDER "%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool zone = read(fd, magic, sizeof(magic)) == sizeof(magic) && memcmp(magic, "TZif", 4) == 0;
    close(fd);
    return zone;
}

static bool is_address(const char *text)
{
    struct sockaddr_storage addr;
    socklen_t len;
    return rb_addr_parse(text, &addr, &len) == RB_OK;
}

static enum rb_err check_networks(const char *text, char *why, size_t size)
{
    struct rb_networks *nets;
    const char *bad;
    enum rb_err err = rb_networks_parse(text, &nets, &bad);
    if (err == RB_OK)
        rb_networks_free(nets);
    else if (err == RB_ERR_INVALID)
        snprintf(why, size, "\"%.*s\" is no network: write 10.0.0.0/8, 127.0.0.1 or fd00::/8",
                 (int)strcspn(bad, ","), bad);
    return err;
}

/* What a text of this type must be, or NULL when it is. */
static const char *fault_of_text(enum rb_setting_type type, const char *text)
{
    enum rb_log_level level;
    switch (type) {
    case RB_SETTING_URL:
        return is_url(text) ? NULL : "must be a URL such as https://ringback.example.org";
    case RB_SETTING_ADDRESS:
        return is_address(text) ? NULL : "must be an address such as 127.0.0.1:8080, [::1]:8080 or *:8080";
    case RB_SETTING_TIMEZONE:
        return is_timezone(text) ? NULL : "must be a time zone under " ZONE_FOLDER " such as Asia/Shanghai";
    case RB_SETTING_RELAY:
        return is_relay(text) ? NULL : "must be a relay such as smtp://mail.example.org:25 or smtps://…:465";
    case RB_SETTING_MAIL:
        return !*text || rb_mail_address_valid(text) ? NULL : "must be an address such as desk@example.org";
    case RB_SETTING_TLS:
        return is_tls(text) ? NULL : "must be try, require or none";
    case RB_SETTING_LEVEL:
        return rb_log_level_parse(text, &level) == RB_OK ? NULL : "must be error, warning, info or debug";
    default:
        return NULL;
    }
}

static enum rb_err put_text(const struct rb_setting *row, char **into, const char *value, char *why,
                            size_t size)
{
    const char *fault = fault_of_text(row->type, value);
    if (fault) {
        snprintf(why, size, "%s", fault);
        return RB_ERR_INVALID;
    }
    enum rb_err err = row->type == RB_SETTING_NETWORKS ? check_networks(value, why, size) : RB_OK;
    if (err != RB_OK)
        return err;
    char *copy = strdup(value);
    if (!copy)
        return RB_ERR_NOMEM;
    size_t len = strlen(copy);
    while (row->type == RB_SETTING_URL && copy[len - 1] == '/')
        copy[--len] = '\0';
    free(*into);
    *into = copy;
    return RB_OK;
}

static enum rb_err put_bool(bool *into, const char *value, char *why, size_t size)
{
    bool yes = strcmp(value, "true") == 0;
    if (!yes && strcmp(value, "false") != 0) {
        snprintf(why, size, "must be true or false");
        return RB_ERR_INVALID;
    }
    *into = yes;
    return RB_OK;
}

static enum rb_err put_int(const struct rb_setting *row, int *into, const char *value, char *why, size_t size)
{
    size_t len = strlen(value), digits = strspn(value, "0123456789");
    long number = len && len == digits && len < 10 ? strtol(value, NULL, 10) : -1;
    if (number < row->lo || number > row->hi) {
        snprintf(why, size, "must be a whole number from %d to %d", row->lo, row->hi);
        return RB_ERR_INVALID;
    }
    *into = (int)number;
    return RB_OK;
}

enum rb_err rb_setting_put(const struct rb_setting *row, void *into, const char *value, char *why,
                           size_t size)
{
    void *field = (char *)into + row->offset;
    if (!is_printable(value)) {
        snprintf(why, size, "must be a text in UTF-8 without control characters");
        return RB_ERR_INVALID;
    }
    switch (row->type) {
    case RB_SETTING_BOOL:
        return put_bool(field, value, why, size);
    case RB_SETTING_INT:
        return put_int(row, field, value, why, size);
    default:
        return put_text(row, field, value, why, size);
    }
}

void rb_setting_write(const struct rb_setting *row, const void *from, struct rb_buf *out)
{
    const void *field = (const char *)from + row->offset;
    switch (row->type) {
    case RB_SETTING_BOOL:
        rb_buf_str(out, *(const bool *)field ? "true" : "false");
        break;
    case RB_SETTING_INT:
        rb_buf_int(out, *(const int *)field);
        break;
    default:
        rb_buf_str(out, *(char *const *)field);
    }
}

void rb_setting_clear(const struct rb_setting *row, void *in)
{
    void *field = (char *)in + row->offset;
    if (row->type == RB_SETTING_BOOL) {
        *(bool *)field = false;
    } else if (row->type == RB_SETTING_INT) {
        *(int *)field = 0;
    } else {
        free(*(char **)field);
        *(char **)field = NULL;
    }
}

const char *rb_setting_type_name(const struct rb_setting *row)
{
    return type_names[row->type];
}
