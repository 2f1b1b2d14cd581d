/*
 * Whole event documents: parse, check, hash, spans, media types and header values. The first byte chooses the
 * way in.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/gateway/attributes.h"
#include "server/gateway/media.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const json_t *json, struct rb_span text)
{
    struct rb_attributes attributes;
    struct rb_refusal why;
    struct rb_event *event;
    struct rb_span part;
    rb_attributes_from_json(json, &attributes);
    rb_refusal_init(&why);
    if (!rb_span_member(text, "data", &part))
        part = text;
    if (rb_event_new(&attributes, json_object_get(json, "data"), part, "0416", &event, &why) == RB_OK)
        rb_event_free(event);
    rb_refusal_deinit(&why);
}

static void fuzz_document(const char *text, size_t len)
{
    json_t *json;
    char why[160];
    size_t at = 0;
    struct rb_span whole = {.text = text, .len = len};
    struct rb_span item;
    if (rb_json_parse(text, len, &json, why, sizeof(why)) != RB_OK)
        return;
    for (size_t i = 0; i < json_array_size(json); i++) {
        if (!rb_span_next(whole, &at, &item))
            abort();
        check(json_array_get(json, i), item);
    }
    if (!json_is_array(json))
        check(json, whole);
    else if (rb_span_next(whole, &at, &item))
        abort();
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    char *text = malloc(size);
    char *out = malloc(size + 1);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (data[0] & 1) {
        fuzz_document(text, size - 1);
    } else {
        rb_media_mode(text);
        if (rb_header_decode(text, out) == RB_OK && strlen(out) > strlen(text))
            abort();
    }
    free(text);
    free(out);
    return 0;
}
