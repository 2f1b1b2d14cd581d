/* Fuzzes common/json: what is taken prints and reads back to the same hash, whatever order its keys have. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *value, *again;
    uint8_t hash[RB_HASH_SIZE], hash_again[RB_HASH_SIZE];
    char why[160];
    if (rb_json_parse((const char *)data, size, &value, why, sizeof(why)) != RB_OK) {
        RB_INVARIANT(*why && rb_utf8_valid(why, strlen(why)));
        return 0;
    }
    RB_INVARIANT(!memchr(data, 0, size) && rb_utf8_valid((const char *)data, size));
    RB_INVARIANT(rb_json_hash("t", value, hash) == RB_OK);
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_SORT_KEYS | JSON_ENSURE_ASCII | JSON_INDENT(1));
    RB_INVARIANT(text);
    RB_INVARIANT(rb_json_parse(text, strlen(text), &again, why, sizeof(why)) == RB_OK);
    RB_INVARIANT(rb_json_hash("t", again, hash_again) == RB_OK);
    RB_INVARIANT(memcmp(hash, hash_again, RB_HASH_SIZE) == 0);
    json_decref(again);
    json_decref(value);
    free(text);
    return 0;
}
