/*
 * The UTF-8 check as a small automaton: the first byte says how many follow and bounds the second, which is
 * what keeps out overlong forms, surrogates and codes beyond U+10FFFF. Never allocates.
 */
#include "common/utf8.h"

static bool step_first(struct rb_utf8 *state, unsigned char byte)
{
    state->low = 0x80;
    state->high = 0xbf;
    if (byte < 0x80)
        return true;
    if (byte >= 0xc2 && byte <= 0xdf) {
        state->missing = 1;
    } else if (byte >= 0xe0 && byte <= 0xef) {
        state->missing = 2;
        if (byte == 0xe0)
            state->low = 0xa0;
        else if (byte == 0xed)
            state->high = 0x9f;
    } else if (byte >= 0xf0 && byte <= 0xf4) {
        state->missing = 3;
        if (byte == 0xf0)
            state->low = 0x90;
        else if (byte == 0xf4)
            state->high = 0x8f;
    } else {
        return false;
    }
    return true;
}

bool rb_utf8_step(struct rb_utf8 *state, unsigned char byte)
{
    if (!state->missing)
        return step_first(state, byte);
    if (byte < state->low || byte > state->high)
        return false;
    state->low = 0x80;
    state->high = 0xbf;
    state->missing--;
    return true;
}

size_t rb_utf8_decode(const char *text, size_t len, uint32_t *code)
{
    struct rb_utf8 state = {0};
    uint32_t value = 0;
    for (size_t i = 0; i < len && i < 4; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (!rb_utf8_step(&state, byte))
            return 0;
        if (i == 0)
            value = byte < 0x80 ? byte : byte & (0x3fU >> state.missing);
        else
            value = value << 6 | (byte & 0x3fU);
        if (!state.missing) {
            *code = value;
            return i + 1;
        }
    }
    return 0;
}

bool rb_utf8_valid(const char *text, size_t len)
{
    struct rb_utf8 state = {0};
    for (size_t i = 0; i < len; i++)
        if (!rb_utf8_step(&state, (unsigned char)text[i]))
            return false;
    return state.missing == 0;
}

size_t rb_utf8_length(const char *text, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}
