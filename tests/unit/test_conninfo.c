/* Tests of common/conninfo: no spelling of a password gets through, and the rest stays readable. */
#include "common/conninfo.h"
#include "tests/unit/unit.h"

static const struct {
    const char *text, *want;
} cases[] = {
    {"", ""},
    {"host=/run/pg dbname=ringback", "host=/run/pg dbname=ringback"},
    {"password=secret", "password=***"},
    {"host=h password=secret dbname=d", "host=h password=*** dbname=d"},
    {"password = secret user = u", "password = *** user = u"},
    {"password='se cr\\'et' user=u", "password=*** user=u"},
    {"password=se\\ cret user=u", "password=*** user=u"},
    {"password='' user=u", "password=*** user=u"},
    {"user='it''s' password=secret", "user='it'***"}, /* libpq's quotes do not double */
    {"password='secret", "password=***"},
    {"password=secret'more user=u", "password=*** user=u"},
    {"sslpassword=secret sslmode=require", "sslpassword=*** sslmode=require"},
    {"user=password dbname=d", "user=password dbname=d"},
    {"password=one password=two", "password=*** password=***"},
    {"user=u\tpassword=secret\nhost=h", "user=u\tpassword=***\nhost=h"},
    {"secret", "***"},
    {"user=u secret", "user=u ***"},
    {"password secret", "***"},
    {"user=u ", "user=u "},
    {"postgresql://", "postgresql://"},
    {"postgresql://host/db", "postgresql://host/db"},
    {"postgresql://user@host/db", "postgresql://user@host/db"},
    {"postgresql://user:secret@host:5432/db", "postgresql://user:***@host:5432/db"},
    {"postgres://user:secret@a:1,b:2/db?sslmode=require", "postgres://user:***@a:1,b:2/db?sslmode=require"},
    {"postgresql://user:se:cr@et@host/db", "postgresql://user:***@host/db"},
    {"postgresql://user:se/cret@host/db", "postgresql://user:***@host/db"},
    {"postgresql://:secret@host/db", "postgresql://:***@host/db"},
    {"postgresql://host:5432/db", "postgresql://host:5432/db"},
    {"postgresql://[::1]:5432/db", "postgresql://[::1]:5432/db"},
    {"postgresql:///db?host=h&password=secret&user=u", "postgresql:///db?host=h&password=***&user=u"},
    {"postgresql:///db?password=secret", "postgresql:///db?password=***"},
    {"postgresql:///db?sslpassword=se%20cret&x=y", "postgresql:///db?sslpassword=***&x=y"},
    {"postgresql:///db?pass%77ord=secret", "postgresql:///db?pass%77ord=***"},
    {"postgresql://u:secret@h/db?password=secret", "postgresql://u:***@h/db?password=***"},
    {"postgresql://h/db?user=a@b&x", "postgresql://h/db?user=a@b&x"},
};

static void test_mask(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rb_buf out;
        rb_buf_init(&out, 1000);
        rb_conninfo_mask(&out, cases[i].text);
        assert_string_equal(out.data ? out.data : "", cases[i].want);
        rb_buf_deinit(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mask)};
    return cmocka_run_group_tests_name("conninfo", tests, NULL, NULL);
}
