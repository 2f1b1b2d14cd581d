/* Tests of common/utf8: the bounds of every length, and the exhaustive agreement of its three ways. */
#include "common/utf8.h"
#include "tests/unit/unit.h"

static const char *const good[] = {
    "",
    "a",
    "\x7f",
    "\xc2\x80",
    "\xdf\xbf",
    "\xe0\xa0\x80",
    "\xed\x9f\xbf",
    "\xee\x80\x80",
    "\xef\xbf\xbf",
    "\xf0\x90\x80\x80",
    "\xf4\x8f\xbf\xbf",
    "\xe7\x83\x9f\xe8\x8d\x89",
};

static const char *const bad[] = {
    "\x80",             /* a tail alone */
    "\xbf",             /* likewise */
    "\xc0\x80",         /* overlong */
    "\xc1\xbf",         /* overlong */
    "\xe0\x9f\xbf",     /* overlong */
    "\xf0\x8f\xbf\xbf", /* overlong */
    "\xed\xa0\x80",     /* surrogate */
    "\xed\xbf\xbf",     /* surrogate */
    "\xf4\x90\x80\x80", /* beyond U+10FFFF */
    "\xf5\x80\x80\x80", /* beyond U+10FFFF */
    "\xff",             /* never */
    "\xc2",             /* ends early */
    "\xe7\x83",         /* ends early */
    "\xf0\x90\x80",     /* ends early */
    "\xe7\x83x",        /* broken off */
    "\xc2\xc2\x80",     /* broken off */
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(rb_utf8_valid(good[i], strlen(good[i])));
    assert_int_equal(rb_utf8_length("\xe7\x83\x9fx\xf0\x9f\x93\x9e", 8), 3);
    assert_true(rb_utf8_valid("\0", 1));
}

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(rb_utf8_valid(bad[i], strlen(bad[i])));
}

/* Encodes by the definition; 0 for what has no encoding. */
static size_t encode(uint32_t code, char out[4])
{
    if (code >= 0xd800 && code <= 0xdfff)
        return 0;
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)((0xf00 >> n) | code);
    return n;
}

static void test_every_character(void **state)
{
    (void)state;
    for (uint32_t code = 0; code <= 0x10ffff; code++) {
        char text[4];
        uint32_t back = 0;
        size_t n = encode(code, text);
        if (!n)
            continue;
        if (rb_utf8_decode(text, n, &back) != n || back != code || rb_utf8_decode(text, n - 1, &back) != 0)
            fail_msg("U+%04X", code);
    }
}

static void test_every_three_bytes_decode_as_they_are_checked(void **state)
{
    (void)state;
    size_t taken = 0;
    for (uint32_t bytes = 0; bytes < 0x1000000; bytes++) {
        char text[3] = {(char)(bytes >> 16), (char)(bytes >> 8), (char)bytes};
        uint32_t code;
        if (rb_utf8_decode(text, 3, &code) == 3) {
            char again[4];
            taken++;
            if (encode(code, again) != 3 || memcmp(again, text, 3))
                fail_msg("%06x", bytes);
        }
    }
    assert_int_equal(taken, 0x10000 - 0x800 - 0x800); /* U+0800 to U+FFFF without surrogates */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_every_character),
        cmocka_unit_test(test_every_three_bytes_decode_as_they_are_checked),
    };
    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
