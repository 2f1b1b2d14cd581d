/* Tests of common/sign: the specification's own example, secrets, tolerance, and headers made to deceive. */
#include "common/sign.h"
#include "tests/unit/unit.h"

#include <stdio.h>

/* The example that the specification's libraries share. */
static const char secret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
static const char id[] = "msg_p5jXN8AQM9LWM0D4loKWxJek";
static const char body[] = "{\"test\": 2432232314}";
static const char stamp[] = "1614265330";
static const int64_t sent = 1614265330;
static const char signature[] = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

static bool verify(const char *timestamp, const char *signatures, int64_t now)
{
    return rb_sign_verify(secret, id, timestamp, signatures, body, strlen(body), now);
}

static void test_published_example(void **state)
{
    (void)state;
    char out[RB_SIGNATURE_SIZE];
    assert_ok(rb_sign(secret, id, sent, body, strlen(body), out));
    assert_string_equal(out, signature);
    assert_true(verify(stamp, signature, sent));
}

static void test_every_part_is_signed(void **state)
{
    (void)state;
    size_t len = strlen(body);
    assert_false(rb_sign_verify(secret, "msg_other", stamp, signature, body, len, sent));
    assert_false(rb_sign_verify(secret, id, "1614265331", signature, body, len, sent));
    assert_false(rb_sign_verify(secret, id, "01614265330", signature, body, len, sent));
    assert_false(rb_sign_verify(secret, id, stamp, signature, "{\"test\": 2432232315}", len, sent));
    assert_false(rb_sign_verify(secret, id, stamp, signature, body, len - 1, sent));
    assert_false(rb_sign_verify(secret, id, stamp, signature, NULL, 0, sent));
    assert_false(
        rb_sign_verify("whsec_AfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", id, stamp, signature, body, len, sent));
    assert_false(rb_sign_verify("nonsense", id, stamp, signature, body, len, sent));
    assert_false(rb_sign_verify("", id, stamp, signature, body, len, sent));
}

static void test_tolerance(void **state)
{
    (void)state;
    assert_true(verify(stamp, signature, sent + 300));
    assert_true(verify(stamp, signature, sent - 300));
    assert_false(verify(stamp, signature, sent + 301));
    assert_false(verify(stamp, signature, sent - 301));
    assert_false(verify(stamp, signature, 0));
}

static void test_timestamps(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "x",
        "-1614265330",
        "+1614265330",
        " 1614265330",
        "1614265330 ",
        "1614265330.0",
        "1614265330x",
        "0x60375132",
        "16142653301614265330",
        "9999999999999999",
        "\xef\xbc\x91\x36\x31\x34\x32\x36\x35\x33\x33\x30",
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(verify(bad[i], signature, sent));
    /* a text that reads as the same number, rightly signed as it stands, is fine */
    char out[RB_SIGNATURE_SIZE];
    assert_ok(rb_sign(secret, id, 0, body, strlen(body), out));
    assert_true(rb_sign_verify(secret, id, "0", out, body, strlen(body), 100));
}

static void test_several_signatures(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool holds;
    } cases[] = {
        {"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1,AAAA", true},
        {"v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", true},
        {"v1a,zzzz v2,zzzz   v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= ", true},
        {" v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", true},
        {"", false},
        {" ", false},
        {"v1,", false},
        {"v1", false},
        {"v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", false},
        {"v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", false},
        {"V1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", false},
        {"g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", false},
        {"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE", false},
        {"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OF=", false}, /* the same bytes, loosely decoded */
        {"v1,g0hM9SsE-OTPJTGt_tmIKtSyZlE3uFJELVlNIOLJ1OE=", false},
        {"v1,G0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", false},
        {"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=,v1,AAAA", false},
        {"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\tv1,AAAA", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (verify(stamp, cases[i].text, sent) != cases[i].holds)
            fail_msg("%s", cases[i].text);
}

static void test_secrets(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {
        {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", true},             /* 24 bytes */
        {"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", true}, /* 32, with padding */
        {"whsec_+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/8=", true}, /* both odd letters */
        {"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
         true}, /* 64 */
        {"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
         false},                                                        /* 65 */
        {"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", false},              /* 23 */
        {"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", false},   /* padding missing */
        {"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==", false}, /* too much of it */
        {"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=", false},  /* stray bits */
        {"whsec_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_8=", false},  /* the alphabet for URLs */
        {"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= ", false},
        {"whsec_ AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", false},
        {"WHSEC_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", false},
        {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", false},
        {"whsec_", false},
        {"whsec", false},
        {"", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char out[RB_SIGNATURE_SIZE];
        if (rb_secret_valid(cases[i].text) != cases[i].valid)
            fail_msg("%s", cases[i].text);
        assert_err(rb_sign(cases[i].text, id, 1, "", 0, out), cases[i].valid ? RB_OK : RB_ERR_INVALID);
    }
}

static void test_made_secrets(void **state)
{
    (void)state;
    char one[RB_SECRET_SIZE], two[RB_SECRET_SIZE], out[RB_SIGNATURE_SIZE];
    rb_secret_make(one);
    rb_secret_make(two);
    assert_true(rb_secret_valid(one));
    assert_int_equal(strlen(one), 6 + 44);
    assert_string_not_equal(one, two);
    assert_ok(rb_sign(one, "id", 1000, NULL, 0, out)); /* an empty body */
    assert_int_equal(strlen(out), 3 + 44);
    assert_true(rb_sign_verify(one, "id", "1000", out, NULL, 0, 1000));
    assert_false(rb_sign_verify(two, "id", "1000", out, NULL, 0, 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_example),  cmocka_unit_test(test_every_part_is_signed),
        cmocka_unit_test(test_tolerance),          cmocka_unit_test(test_timestamps),
        cmocka_unit_test(test_several_signatures), cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_made_secrets),
    };
    return cmocka_run_group_tests_name("sign", tests, NULL, NULL);
}
