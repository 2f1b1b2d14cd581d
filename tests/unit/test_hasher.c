/*
 * The hasher: what matches and what does not, a fresh hash when one is due, a bounded queue, and an
 * end that tells everybody.
 */
#include <event2/event.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/console/hasher.h"
#include "tests/unit/unit.h"

struct seen {
    unsigned told;
    unsigned until;
    enum rb_err err;
    bool matches;
    char fresh[RB_PASSWORD_HASH_SIZE];
};

static struct event_base *base;

static void on_done(void *ctx, enum rb_err err, bool matches, const char *fresh)
{
    struct seen *seen = ctx;
    seen->err = err;
    seen->matches = matches;
    strcpy(seen->fresh, fresh ? fresh : "");
    if (++seen->told == seen->until)
        event_base_loopbreak(base);
}

static struct seen verify(struct rb_hasher *hasher, const char *hash, const char *password, const char *next)
{
    struct seen seen = {.until = 1};
    assert_ok(rb_hasher_verify(hasher, hash, password, next, on_done, &seen));
    assert_int_equal(seen.told, 0); /* never before the call is over */
    event_base_dispatch(base);
    assert_ok(seen.err);
    return seen;
}

static void what_matches_matches(void **state)
{
    char hash[crypto_pwhash_STRBYTES];
    char weak[crypto_pwhash_STRBYTES];
    struct rb_hasher *hasher = rb_hasher_new(base, 4);
    (void)state;
    assert_int_equal(crypto_pwhash_str(hash, "right", 5, 2, 19u << 20), 0);
    assert_int_equal(crypto_pwhash_str(weak, "right", 5, 1, 1u << 20), 0);
    struct seen seen = verify(hasher, hash, "right", NULL);
    assert_true(seen.matches);
    assert_string_equal(seen.fresh, ""); /* today's parameters stay */
    seen = verify(hasher, hash, "wrong", "next");
    assert_false(seen.matches);
    assert_string_equal(seen.fresh, "");
    assert_false(verify(hasher, NULL, "right", NULL).matches);
    seen = verify(hasher, weak, "right", NULL);
    assert_int_equal(crypto_pwhash_str_verify(seen.fresh, "right", 5), 0);
    seen = verify(hasher, hash, "right", "next one");
    assert_int_equal(crypto_pwhash_str_verify(seen.fresh, "next one", 8), 0);
    rb_hasher_free(hasher);
}

/* The one child that this process has. */
static pid_t only_child(void)
{
    char path[64];
    long child = 0;
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld", &child), 1);
    fclose(file);
    return (pid_t)child;
}

static void a_process_that_dies_gets_a_successor(void **state)
{
    struct rb_hasher *hasher = rb_hasher_new(base, 4);
    struct seen seen = {.until = 1};
    (void)state;
    pid_t first = only_child();
    assert_int_equal(kill(first, SIGKILL), 0);
    assert_ok(rb_hasher_verify(hasher, NULL, "x", NULL, on_done, &seen));
    event_base_dispatch(base);
    /* Lost with it, or looked at by the next: told in any case. */
    assert_int_equal(seen.told, 1);
    assert_false(verify(hasher, NULL, "x", NULL).matches);
    assert_int_not_equal(only_child(), first);
    rb_hasher_free(hasher);
}

static void the_queue_is_bounded(void **state)
{
    struct rb_hasher *hasher = rb_hasher_new(base, 3);
    struct seen seen = {.until = 3};
    char endless[RB_PASSWORD_MOST + 2] = "";
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_ok(rb_hasher_verify(hasher, NULL, "x", NULL, on_done, &seen));
    assert_err(rb_hasher_verify(hasher, NULL, "x", NULL, on_done, &seen), RB_ERR_FULL);
    memset(endless, 'x', sizeof(endless) - 1);
    assert_err(rb_hasher_verify(hasher, NULL, endless, NULL, on_done, &seen), RB_ERR_TOO_LARGE);
    event_base_dispatch(base);
    assert_int_equal(seen.told, 3);
    seen = (struct seen){.until = 3};
    for (int i = 0; i < 3; i++)
        assert_ok(rb_hasher_verify(hasher, NULL, "x", NULL, on_done, &seen));
    rb_hasher_free(hasher);
    assert_int_equal(seen.told, 3);
    assert_err(seen.err, RB_ERR_AWAY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_matches_matches),
        cmocka_unit_test(a_process_that_dies_gets_a_successor),
        cmocka_unit_test(the_queue_is_bounded),
    };
    base = event_base_new();
    int failed = sodium_init() < 0 || !base ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
    event_base_free(base);
    return failed;
}
