/* Tests of common/net: addresses and networks read strictly, and every kind of address that is inside. */
#include "common/net.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <sys/un.h>

static struct sockaddr_storage address(const char *host)
{
    struct sockaddr_storage out = {0};
    struct sockaddr_in *in = (struct sockaddr_in *)&out;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&out;
    if (strchr(host, ':')) {
        in6->sin6_family = AF_INET6;
        assert_int_equal(inet_pton(AF_INET6, host, &in6->sin6_addr), 1);
    } else {
        in->sin_family = AF_INET;
        assert_int_equal(inet_pton(AF_INET, host, &in->sin_addr), 1);
    }
    return out;
}

static void test_inside(void **state)
{
    (void)state;
    static const char *const inside[] = {
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.0.0",
        "169.254.169.254",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.0",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.7",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::2",
        "::127.0.0.1",           /* IPv4-compatible */
        "::8.8.8.8",             /* likewise, given up long ago */
        "::ffff:127.0.0.1",      /* mapped */
        "::ffff:10.1.2.3",       /* mapped */
        "::ffff:0:127.0.0.1",    /* translated */
        "64:ff9b::127.0.0.1",    /* NAT64 */
        "64:ff9b::c0a8:1",       /* NAT64 of 192.168.0.1 */
        "64:ff9b:1::1",          /* local NAT64 */
        "100::1",                /* discard */
        "2001::1",               /* Teredo */
        "2001:0:7f00:1::",       /* Teredo of loopback */
        "2001:10::1",            /* ORCHID */
        "2001:db8::1",           /* documentation */
        "2001:db8:ffff:ffff::1", /* documentation */
        "2002:7f00:1::1",        /* 6to4 of 127.0.0.1 */
        "2002:a00:1::1",         /* 6to4 of 10.0.0.1 */
        "2002:c0a8:101::1",      /* 6to4 of 192.168.1.1 */
        "2002:a9fe:a9fe::1",     /* 6to4 of 169.254.169.254 */
        "3fff::1",               /* documentation */
        "3fff:fff:ffff::1",      /* documentation */
        "4000::1",               /* reserved */
        "5f00::1",               /* segment routing */
        "fc00::1",               /* unique local */
        "fdff::1",               /* unique local */
        "fe80::1",               /* link-local */
        "febf::1",               /* link-local */
        "fec0::1",               /* site-local */
        "ff02::1",               /* multicast */
    };
    static const char *const outside[] = {
        "1.1.1.1",          "8.8.8.8",         "9.255.255.255",  "11.0.0.0",         "100.63.255.255",
        "100.128.0.0",      "126.255.255.255", "128.0.0.0",      "169.253.255.255",  "169.255.0.0",
        "172.15.255.255",   "172.32.0.0",      "192.0.1.1",      "192.0.3.1",        "192.88.98.255",
        "192.167.255.255",  "192.169.0.0",     "198.17.255.255", "198.20.0.0",       "198.51.99.255",
        "198.51.101.0",     "203.0.112.255",   "203.0.114.0",    "223.255.255.255",  "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8", "2002:808:808::1", "2001:200::1",    "2001:db7:ffff::1", "2001:db9::1",
        "2003::1",          "2400:3200::1",    "2000::1",        "3ffe:ffff::1",     "3fff:1000::1",
    };
    for (size_t i = 0; i < COUNT(inside); i++) {
        struct sockaddr_storage addr = address(inside[i]);
        if (!rb_addr_is_inside((struct sockaddr *)&addr))
            fail_msg("%s is inside", inside[i]);
    }
    for (size_t i = 0; i < COUNT(outside); i++) {
        struct sockaddr_storage addr = address(outside[i]);
        if (rb_addr_is_inside((struct sockaddr *)&addr))
            fail_msg("%s is outside", outside[i]);
    }
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    assert_true(rb_addr_is_inside((struct sockaddr *)&local));
}

static bool contains(const char *list, const char *host)
{
    struct rb_networks *nets;
    const char *bad;
    assert_ok(rb_networks_parse(list, &nets, &bad));
    struct sockaddr_storage addr = address(host);
    bool answer = rb_networks_contain(nets, (struct sockaddr *)&addr);
    rb_networks_free(nets);
    return answer;
}

static void test_networks(void **state)
{
    (void)state;
    assert_false(contains("", "127.0.0.1"));
    assert_false(contains("  ", "127.0.0.1"));
    assert_true(contains("127.0.0.1", "127.0.0.1"));
    assert_false(contains("127.0.0.1", "127.0.0.2"));
    assert_true(contains(" 10.0.0.0/8 ,\t127.0.0.0/8 ", "127.9.9.9"));
    assert_true(contains("10.0.0.0/8", "10.255.255.255"));
    assert_false(contains("10.0.0.0/8", "11.0.0.0"));
    assert_true(contains("10.1.2.3/8", "10.9.9.9")); /* bits beyond the prefix do not count */
    assert_true(contains("192.168.4.0/22", "192.168.7.255"));
    assert_false(contains("192.168.4.0/22", "192.168.8.0"));
    assert_true(contains("192.168.1.128/25", "192.168.1.128"));
    assert_false(contains("192.168.1.128/25", "192.168.1.127"));
    assert_true(contains("0.0.0.0/0", "8.8.8.8"));
    assert_false(contains("0.0.0.0/0", "2001:db8::1"));
    assert_true(contains("::/0", "2001:db8::1"));
    assert_false(contains("::/0", "8.8.8.8"));
    assert_false(contains("::/0", "::ffff:8.8.8.8")); /* counts as IPv4 */
    assert_true(contains("8.8.8.8", "::ffff:8.8.8.8"));
    assert_true(contains("::ffff:10.0.0.0/104", "10.9.9.9"));
    assert_true(contains("fd00::/8", "fdff::1"));
    assert_false(contains("fd00::/8", "fc00::1"));
    assert_true(contains("::1/128", "::1"));
    assert_true(contains("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(contains("2001:db8::/33", "2001:db8:8000::1"));
    struct sockaddr_storage addr = address("127.0.0.1");
    assert_false(rb_networks_contain(NULL, (struct sockaddr *)&addr));
}

static void test_bad_networks(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t at; /* where the fault is */
    } cases[] = {
        {"x", 0},
        {",", 0},
        {"10.0.0.0/8,", 11},
        {"10.0.0.0/8,,::1", 11},
        {"10.0.0.0/8, ,::1", 12},
        {"10.0.0.0/33", 0},
        {"10.0.0.0/", 0},
        {"10.0.0.0/-1", 0},
        {"10.0.0.0/+8", 0},
        {"10.0.0.0/08", 0},
        {"10.0.0.0/8/8", 0},
        {"10.0.0.0/8 8", 0},
        {"10.0.0.0 /8", 0},
        {"10.0.0/8", 0},
        {"10/8", 0},
        {"010.0.0.1", 0},
        {"256.0.0.1", 0},
        {"0x7f000001", 0},
        {"2130706433", 0},
        {"::/129", 0},
        {"::g", 0},
        {"fe80::1%eth0", 0},
        {"[::1]", 0},
        {"localhost", 0},
        {"127.0.0.1, example.org", 11},
        {"10.0.0.0/99999999999999999999", 0},
        {"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111", 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rb_networks *nets;
        const char *bad = NULL;
        if (rb_networks_parse(cases[i].text, &nets, &bad) != RB_ERR_INVALID)
            fail_msg("taken: %s", cases[i].text);
        assert_ptr_equal(bad, cases[i].text + cases[i].at);
    }
}

static void test_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want, *alone;
    } good[] = {
        {"127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1"},
        {"127.0.0.1:0", "127.0.0.1:0", "127.0.0.1"},
        {"255.255.255.255:65535", "255.255.255.255:65535", "255.255.255.255"},
        {"*:80", "0.0.0.0:80", "0.0.0.0"},
        {"localhost:8080", "127.0.0.1:8080", "127.0.0.1"},
        {"[::1]:8080", "[::1]:8080", "::1"},
        {"[::]:1", "[::]:1", "::"},
        {"[2001:db8:0:0:0:0:0:1]:443", "[2001:db8::1]:443", "2001:db8::1"},
    };
    static const char *const bad[] = {
        "",          ":",         ":8080",       "127.0.0.1",      "127.0.0.1:",       "127.0.0.1:x",
        "[::1]",     "[::1]8080", "::1:8080",    "[127.0.0.1]:80", "127.0.0.1:65536",  "127.0.0.1:-1",
        "[]:80",     "[:80",      "[::1:80",     "127.0.0.1:080",  "127.0.0.1: 80",    " 127.0.0.1:80",
        "**:80",     "host:80",   "127.1:80",    "1.2.3.4:80 ",    "[fe80::1%lo]:80",  "LOCALHOST:80",
        "[::1]]:80", "8080",      "1.2.3.4:80x", "127.0.0.1:8 0",  "127.0.0.1:999999",
    };
    struct sockaddr_storage addr;
    socklen_t len;
    char text[RB_ADDR_SIZE];
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_ok(rb_addr_parse(good[i].text, &addr, &len));
        assert_int_equal(len, addr.ss_family == AF_INET ? sizeof(struct sockaddr_in)
                                                        : sizeof(struct sockaddr_in6));
        rb_addr_format((struct sockaddr *)&addr, true, text);
        assert_string_equal(text, good[i].want);
        rb_addr_format((struct sockaddr *)&addr, false, text);
        assert_string_equal(text, good[i].alone);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        if (rb_addr_parse(bad[i], &addr, &len) == RB_OK)
            fail_msg("taken: %s", bad[i]);
}

static void test_format_of_mapped_and_other(void **state)
{
    (void)state;
    char text[RB_ADDR_SIZE];
    struct sockaddr_storage addr = address("::ffff:192.0.2.7");
    ((struct sockaddr_in6 *)&addr)->sin6_port = htons(99);
    rb_addr_format((struct sockaddr *)&addr, true, text);
    assert_string_equal(text, "192.0.2.7:99"); /* one client, one name, whichever listener it met */
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    rb_addr_format((struct sockaddr *)&local, true, text);
    assert_string_equal(text, "unix");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inside),
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_bad_networks),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_format_of_mapped_and_other),
    };
    return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
