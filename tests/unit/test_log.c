/* Tests of common/log: the shape of a line, hostile values, the cap, the journal's form, levels, phones. */
#include "common/log.h"
#include "tests/unit/unit.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char caught[16384];

/* Runs the lines of a test with stderr going to a file, and leaves what was written in caught. */
static FILE *file;
static int real_stderr;

static void catch_start(void)
{
    file = tmpfile();
    assert_non_null(file);
    real_stderr = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
}

static void catch_end(void)
{
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    rewind(file);
    size_t n = fread(caught, 1, sizeof(caught) - 1, file);
    caught[n] = '\0';
    fclose(file);
}

/* The text behind time, level and subject of the only line. */
static const char *caught_text(void)
{
    char *colon = strstr(caught, "test: ");
    assert_non_null(colon);
    char *end = strchr(colon, '\n');
    assert_non_null(end);
    assert_string_equal(end, "\n"); /* one line */
    *end = '\0';
    return colon + strlen("test: ");
}

static void test_shape(void **state)
{
    (void)state;
    catch_start();
    rb_info("intake", "batch stored events=%d", 12);
    catch_end();
    assert_int_equal(strlen(caught),
                     strlen("2026-11-21T22:34:54.123Z info intake: batch stored events=12\n"));
    assert_string_equal(caught + 24, " info intake: batch stored events=12\n");
    static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    for (size_t i = 0; i < sizeof(shape) - 1; i++) {
        if (shape[i] == 'd')
            assert_true(isdigit((unsigned char)caught[i]));
        else
            assert_int_equal(caught[i], shape[i]);
    }
}

static void test_levels(void **state)
{
    (void)state;
    enum rb_log_level level;
    assert_int_equal(rb_log_level(), RB_LOG_INFO);
    catch_start();
    rb_debug("test", "hidden");
    rb_log_set_level(RB_LOG_ERROR);
    rb_warning("test", "hidden");
    rb_error("test", "seen");
    rb_log_set_level(RB_LOG_DEBUG);
    rb_debug("test", "seen too");
    rb_log_set_level(RB_LOG_INFO);
    catch_end();
    assert_null(strstr(caught, "hidden"));
    assert_non_null(strstr(caught, " error test: seen\n"));
    assert_non_null(strstr(caught, " debug test: seen too\n"));
    assert_ok(rb_log_level_parse("error", &level));
    assert_int_equal(level, RB_LOG_ERROR);
    assert_ok(rb_log_level_parse("warning", &level));
    assert_int_equal(level, RB_LOG_WARNING);
    assert_ok(rb_log_level_parse("info", &level));
    assert_ok(rb_log_level_parse("debug", &level));
    assert_int_equal(level, RB_LOG_DEBUG);
    assert_err(rb_log_level_parse("", &level), RB_ERR_INVALID);
    assert_err(rb_log_level_parse("Info", &level), RB_ERR_INVALID);
    assert_err(rb_log_level_parse("infos", &level), RB_ERR_INVALID);
}

static void test_hostile_values_stay_in_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *value, *want;
    } cases[] = {
        {"a\nb", "a\\nb"},
        {"a\r\nb", "a\\r\\nb"},
        {"a\tb", "a\\tb"},
        {"\x1b[2J", "\\x1b[2J"},
        {"\x7f", "\\x7f"},
        {"\xc2\x85", "\\u0085"},          /* next line */
        {"\xe2\x80\xa8", "\\u2028"},      /* line separator */
        {"\xe2\x80\xae", "\\u202e"},      /* right-to-left override */
        {"\xff\xfe", "\\xff\\xfe"},       /* no UTF-8 */
        {"\xe7\x83", "\\xe7\\x83"},       /* half a character */
        {"\xc0\x8a", "\\xc0\\x8a"},       /* an overlong line break */
        {"\xe7\x83\x9f", "\xe7\x83\x9f"}, /* a good one */
        {"%s%n", "%s%n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        catch_start();
        rb_info("test", "%s", cases[i].value);
        catch_end();
        assert_string_equal(caught_text(), cases[i].want);
    }
}

static void test_long_lines_are_cut(void **state)
{
    (void)state;
    static char text[5000];
    for (size_t len = 1950; len < 2100; len++) {
        memset(text, 'x', len);
        text[len] = '\0';
        catch_start();
        rb_info("test", "%s", text);
        catch_end();
        assert_true(strlen(caught) <= 2048);
        size_t whole = strlen("2026-11-21T22:34:54.123Z info test: ") + len + 1;
        if (whole <= 2048 - strlen("[cut]"))
            assert_string_equal(caught_text(), text);
        else
            assert_string_equal(caught + strlen(caught) - 7, "x[cut]\n");
    }
    memset(text, '\n', sizeof(text) - 1); /* twice as long when escaped */
    catch_start();
    rb_info("test", "%s", text);
    catch_end();
    assert_true(strlen(caught) <= 2048);
    assert_string_equal(strchr(caught, '\n'), "\n");
}

static void test_cut_keeps_characters_whole(void **state)
{
    (void)state;
    static char text[4002];
    for (size_t shift = 0; shift < 3; shift++) {
        memset(text, 'x', shift);
        for (size_t i = shift; i + 3 < sizeof(text); i += 3)
            memcpy(text + i, "\xe7\x83\x9f", 4);
        catch_start();
        rb_info("test", "%s", text);
        catch_end();
        const char *end = caught + strlen(caught) - strlen("[cut]\n");
        assert_string_equal(end, "[cut]\n");
        assert_memory_equal(end - 3, "\xe7\x83\x9f", 3);
    }
}

static void test_journal(void **state)
{
    (void)state;
    char stream[64];
    struct stat info;
    catch_start();
    assert_int_equal(fstat(STDERR_FILENO, &info), 0);
    snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)info.st_dev,
             (unsigned long long)info.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    rb_error("test", "one");
    rb_info("test", "two\n<0>three");
    setenv("JOURNAL_STREAM", "1:1", 1); /* inherited, but stderr goes elsewhere */
    rb_info("test", "four");
    unsetenv("JOURNAL_STREAM");
    catch_end();
    const char *want = "<3>error test: one\n<6>info test: two\\n<0>three\n";
    assert_memory_equal(caught, want, strlen(want));
    assert_true(isdigit((unsigned char)caught[strlen(want)]));
}

static void test_errno_is_kept(void **state)
{
    (void)state;
    catch_start();
    errno = ENOSPC;
    rb_info("test", "why=%m");
    int after = errno;
    catch_end();
    assert_int_equal(after, ENOSPC);
    assert_string_equal(caught_text(), "why=No space left on device");
}

static void test_phone(void **state)
{
    (void)state;
    char out[8];
    assert_string_equal(rb_log_phone("+8615400001234", out), "***34");
    assert_string_equal(rb_log_phone("12313", out), "***13");
    assert_string_equal(rb_log_phone("110", out), "***");
    assert_string_equal(rb_log_phone("", out), "***");
    assert_string_equal(rb_log_phone(NULL, out), "***");
    assert_string_equal(rb_log_phone("somebody", out), "***"); /* no number: nothing of it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_hostile_values_stay_in_their_line),
        cmocka_unit_test(test_long_lines_are_cut),
        cmocka_unit_test(test_cut_keeps_characters_whole),
        cmocka_unit_test(test_journal),
        cmocka_unit_test(test_errno_is_kept),
        cmocka_unit_test(test_phone),
    };
    unsetenv("JOURNAL_STREAM");
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
