/*
 * JSON as common/json.h has it: called for every event and for requests of the console. A scan of the bytes
 * finds depth and number of values before Jansson makes anything of them, since a value costs it far more
 * memory than the two bytes that a client pays. Never prints JSON and never keeps a value.
 */
#include "common/json.h"

#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"

#define FEW_KEYS 24 /* an object of no more keys is sorted without a malloc */

/* --- the scan --- */

struct scan {
    const char *at;
    const char *end;
    unsigned depth;
    size_t values;
};

/* Moves behind the string whose opening quote was just passed; a string without end is Jansson's to tell. */
static void skip_string(struct scan *scan)
{
    while (scan->at < scan->end) {
        char c = *scan->at++;
        if (c == '"')
            return;
        if (c == '\\' && scan->at < scan->end)
            scan->at++;
    }
}

static bool next_closes(const struct scan *scan)
{
    const char *at = scan->at;
    while (at < scan->end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at < scan->end && (*at == ']' || *at == '}');
}

/* A text that is no JSON may be counted wrongly; it is refused by the parser anyway. */
static enum rb_err scan_text(struct scan *scan)
{
    while (scan->at < scan->end) {
        switch (*scan->at++) {
        case '"':
            skip_string(scan);
            break;
        case '[':
        case '{':
            if (++scan->depth > RB_JSON_DEPTH)
                return RB_ERR_INVALID;
            scan->values += !next_closes(scan);
            break;
        case ']':
        case '}':
            scan->depth -= scan->depth > 0;
            break;
        case ',':
            scan->values++;
            break;
        default:
            continue;
        }
        if (scan->values > RB_JSON_VALUES)
            return RB_ERR_TOO_LARGE;
    }
    return RB_OK;
}

/* Jansson quotes a piece of the text in its messages: what of it cannot be shown becomes "?". */
static void make_printable(char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len;) {
        uint32_t code;
        size_t n = rb_utf8_decode(text + i, len - i, &code);
        if (!n || code < 0x20 || (code >= 0x7f && code < 0xa0)) {
            memset(text + i, '?', n ? n : 1);
            i += n ? n : 1;
        } else {
            i += n;
        }
    }
}

/* --- the hash --- */

/* Small pieces are gathered, so that the hash is called for blocks and not for single bytes. */
struct digest {
    crypto_generichash_state state;
    size_t len;
    uint8_t gathered[1024];
};

static void digest_add(struct digest *digest, const void *data, size_t len)
{
    if (len > sizeof(digest->gathered) - digest->len) {
        crypto_generichash_update(&digest->state, digest->gathered, digest->len);
        digest->len = 0;
        if (len > sizeof(digest->gathered)) {
            crypto_generichash_update(&digest->state, data, len);
            return;
        }
    }
    memcpy(digest->gathered + digest->len, data, len);
    digest->len += len;
}

/* A tag and a number as eight bytes, lowest first, the same on every machine. */
static void digest_tag(struct digest *digest, char tag, uint64_t number)
{
    uint8_t bytes[9] = {(uint8_t)tag};
    for (int i = 1; i < 9; i++, number >>= 8)
        bytes[i] = (uint8_t)number;
    digest_add(digest, bytes, sizeof(bytes));
}

static void digest_text(struct digest *digest, char tag, const char *text, size_t len)
{
    digest_tag(digest, tag, len);
    digest_add(digest, text, len);
}

static void digest_number(struct digest *digest, double number)
{
    uint64_t bits;
    if (number == 0)
        number = 0; /* -0 is the same number */
    memcpy(&bits, &number, sizeof(bits));
    digest_tag(digest, 'd', bits);
}

struct member {
    const char *key;
    size_t len;
    const json_t *value;
};

static int compare_members(const void *left, const void *right)
{
    const struct member *a = left, *b = right;
    size_t len = a->len < b->len ? a->len : b->len;
    int order = memcmp(a->key, b->key, len);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

static void sort_members(struct member *members, size_t n)
{
    if (n > FEW_KEYS) {
        qsort(members, n, sizeof(*members), compare_members);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        struct member member = members[i];
        size_t at = i;
        for (; at > 0 && compare_members(&members[at - 1], &member) > 0; at--)
            members[at] = members[at - 1];
        members[at] = member;
    }
}

static enum rb_err digest_value(struct digest *digest, const json_t *value, unsigned depth);

static enum rb_err digest_object(struct digest *digest, const json_t *object, unsigned depth)
{
    struct member few[FEW_KEYS];
    struct member *members = few;
    size_t n = json_object_size(object), i = 0;
    enum rb_err err = RB_OK;
    json_t *mutable_object = (json_t *)object; /* Jansson's iterator wants it so, and changes nothing */
    if (n > FEW_KEYS) {
        members = malloc(n * sizeof(*members));
        if (!members)
            return RB_ERR_NOMEM;
    }
    void *it = json_object_iter(mutable_object);
    for (; it && i < n; it = json_object_iter_next(mutable_object, it)) {
        members[i].key = json_object_iter_key(it);
        members[i].len = json_object_iter_key_len(it);
        members[i++].value = json_object_iter_value(it);
    }
    n = i;
    sort_members(members, n);
    digest_tag(digest, 'o', n);
    for (i = 0; i < n && err == RB_OK; i++) {
        digest_text(digest, 'k', members[i].key, members[i].len);
        err = digest_value(digest, members[i].value, depth + 1);
    }
    if (members != few)
        free(members);
    return err;
}

static enum rb_err digest_array(struct digest *digest, const json_t *array, unsigned depth)
{
    size_t n = json_array_size(array);
    enum rb_err err = RB_OK;
    digest_tag(digest, 'a', n);
    for (size_t i = 0; i < n && err == RB_OK; i++)
        err = digest_value(digest, json_array_get(array, i), depth + 1);
    return err;
}

static enum rb_err digest_value(struct digest *digest, const json_t *value, unsigned depth)
{
    if (depth > RB_JSON_DEPTH) /* this is recursive, and a value may be made by other hands */
        return RB_ERR_INVALID;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return digest_object(digest, value, depth);
    case JSON_ARRAY:
        return digest_array(digest, value, depth);
    case JSON_STRING:
        digest_text(digest, 's', json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
    case JSON_REAL:
        digest_number(digest, json_number_value(value));
        break;
    case JSON_TRUE:
        digest_tag(digest, 't', 1);
        break;
    case JSON_FALSE:
        digest_tag(digest, 't', 0);
        break;
    case JSON_NULL:
        digest_tag(digest, 'n', 0);
        break;
    }
    return RB_OK;
}

enum rb_err rb_json_parse(const char *text, size_t len, json_t **out, char *why, size_t size)
{
    struct scan scan = {.at = text, .end = text + len, .values = 1};
    json_error_t error;
    enum rb_err err = scan_text(&scan);
    const char *nul = len ? memchr(text, '\0', len) : NULL;
    if (nul) { /* Jansson passes over one behind a number or a word */
        snprintf(why, size, "NUL at byte %zu", (size_t)(nul - text) + 1);
        return RB_ERR_INVALID;
    }
    if (err == RB_ERR_INVALID)
        snprintf(why, size, "nested deeper than %d levels at byte %zu", RB_JSON_DEPTH,
                 (size_t)(scan.at - text));
    else if (err != RB_OK)
        snprintf(why, size, "more than %d values", RB_JSON_VALUES);
    if (err != RB_OK)
        return err;
    *out = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL | JSON_DECODE_ANY, &error);
    if (*out)
        return RB_OK;
    if (json_error_code(&error) == json_error_out_of_memory)
        err = RB_ERR_NOMEM;
    else
        err = RB_ERR_INVALID;
    make_printable(error.text);
    snprintf(why, size, "line %d, column %d: %s", error.line, error.column, error.text);
    return err;
}

enum rb_err rb_json_hash(const char *type, const json_t *value, uint8_t out[RB_HASH_SIZE])
{
    static bool ready;
    struct digest digest;
    enum rb_err err = RB_OK;
    if (!ready) { /* only then libsodium takes the fastest way that the processor has */
        RB_INVARIANT(sodium_init() >= 0);
        ready = true;
    }
    digest.len = 0;
    crypto_generichash_init(&digest.state, NULL, 0, RB_HASH_SIZE);
    digest_text(&digest, 'T', type, strlen(type));
    if (value)
        err = digest_value(&digest, value, 1);
    else
        digest_tag(&digest, '-', 0);
    crypto_generichash_update(&digest.state, digest.gathered, digest.len);
    crypto_generichash_final(&digest.state, out, RB_HASH_SIZE);
    return err;
}

bool rb_json_whole(const json_t *value, int64_t lo, int64_t hi, int64_t *out)
{
    if (!json_is_real(value))
        return false;
    double number = json_real_value(value);
    /* the bounds of int64_t as doubles; the upper one is the first that does not fit */
    if (!(number >= -9223372036854775808.0 && number < 9223372036854775808.0) || number != floor(number))
        return false;
    int64_t whole = (int64_t)number;
    if (whole < lo || whole > hi)
        return false;
    *out = whole;
    return true;
}
