/* Tests of common/config: defaults, file and environment, every fault with its place, printing that reads
 * back. */
#include "common/config.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <unistd.h>

extern char **environ;

static char path[] = "/tmp/ringback-test-config-XXXXXX";
static char why[4000];
static struct rb_config config;

static void write_file(const void *text, size_t len)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    fclose(file);
}

static enum rb_err load(const char *text)
{
    write_file(text, strlen(text));
    return rb_config_load(path, &config, why, sizeof(why));
}

/* Loads what must be refused; want: what why says, with "@" for the file's name. */
static void refused(const char *text, const char *want)
{
    char full[4000];
    size_t n = 0;
    assert_err(load(text), RB_ERR_INVALID);
    for (; *want && n + sizeof(path) < sizeof(full); want++)
        n += (size_t)snprintf(full + n, sizeof(full) - n, *want == '@' ? "%s" : "%.1s",
                              *want == '@' ? path : want);
    assert_string_equal(why, full);
    assert_null(config.database); /* nothing is left to free */
}

static int start(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    clearenv();
    return fd < 0 || close(fd);
}

static int end(void **state)
{
    (void)state;
    return unlink(path);
}

static int clear(void **state)
{
    (void)state;
    clearenv();
    rb_config_deinit(&config);
    return 0;
}

static void test_defaults(void **state)
{
    (void)state;
    assert_ok(load(""));
    assert_string_equal(config.database, "");
    assert_string_equal(config.listen_console, "127.0.0.1:8080");
    assert_string_equal(config.listen_gateway, "127.0.0.1:8081");
    assert_false(config.reuse_port);
    assert_string_equal(config.public_url, "http://127.0.0.1:8080");
    assert_string_equal(config.timezone, "Asia/Shanghai");
    assert_string_equal(config.log_level, "info");
    assert_string_equal(config.allow_targets, "");
    assert_string_equal(config.state_dir, "/var/lib/ringback");
    assert_string_equal(config.secret_key_file, "/var/lib/ringback/secret.key");
    assert_string_equal(config.trusted_proxies, "");
    assert_string_equal(config.tls_certificate, "");
    assert_string_equal(config.tls_key, "");
    assert_int_equal(config.write_connections, 2);
    assert_int_equal(config.max_connections, 4096);
    assert_int_equal(config.max_per_address, 0);
    assert_int_equal(config.intake_queue, 4096);
    assert_int_equal(config.batch_events, 64);
    assert_int_equal(config.delivery_connections, 64);
}

static void test_file(void **state)
{
    (void)state;
    assert_ok(load("\xef\xbb\xbf# a comment\n"
                   "; another = one\n"
                   "\n"
                   "  database =  host=/run/x dbname='a b' ; no comment  \r\n"
                   "listen_console=*:0\n"
                   "reuse_port : true\n"
                   "public_url = https://ringback.example.org:8443/branch//\n"
                   "allow_targets = 127.0.0.0/8, ::1\n"
                   "\tstate_dir = /srv/ringback\n"
                   "max_connections = 65536\n"
                   "timezone = UTC\n"
                   "log_level = debug"));
    assert_string_equal(config.database, "host=/run/x dbname='a b' ; no comment");
    assert_string_equal(config.listen_console, "*:0");
    assert_true(config.reuse_port);
    assert_string_equal(config.public_url, "https://ringback.example.org:8443/branch");
    assert_string_equal(config.allow_targets, "127.0.0.0/8, ::1");
    assert_string_equal(config.secret_key_file, "/srv/ringback/secret.key");
    assert_int_equal(config.max_connections, 65536);
    assert_string_equal(config.timezone, "UTC");
    assert_string_equal(config.log_level, "debug");
}

static void test_environment_wins(void **state)
{
    (void)state;
    setenv("RINGBACK_LOG_LEVEL", "error", 1);
    setenv("RINGBACK_MAX_CONNECTIONS", "77", 1);
    setenv("RINGBACK_SECRET_KEY_FILE", "/etc/key", 1);
    setenv("RINGBACK_SOMETHING_ELSE", "x", 1); /* perhaps another program's: said, not refused */
    assert_ok(load("log_level = debug\nmax_connections = 99\nbatch_events = 9\n"));
    assert_string_equal(config.log_level, "error");
    assert_int_equal(config.max_connections, 77);
    assert_int_equal(config.batch_events, 9);
    assert_string_equal(config.secret_key_file, "/etc/key");
}

static void test_every_fault_is_told(void **state)
{
    (void)state;
    setenv("RINGBACK_BATCH_EVENTS", "257", 1);
    setenv("RINGBACK_REUSE_PORT", "", 1);
    refused("log_level = loud\n"
            "\n"
            "listen = 1\n"
            "max_connections = 15\n"
            "just words\n"
            "max_connections = 16\n"
            "public_url = ftp://x\n"
            "timezone = Mars/Base\n"
            "tls_key = /k\n",
            "@:1: log_level: must be error, warning, info or debug\n"
            "@:3: listen: unknown key\n"
            "@:4: max_connections: must be a whole number from 16 to 65536\n"
            "@:5: not a line of the form key = value\n"
            "@:6: max_connections: given twice\n"
            "@:7: public_url: must be a URL such as https://ringback.example.org\n"
            "@:8: timezone: must be a time zone under /usr/share/zoneinfo/ such as Asia/Shanghai\n"
            "RINGBACK_REUSE_PORT: must be true or false\n"
            "RINGBACK_BATCH_EVENTS: must be a whole number from 1 to 256\n"
            "tls_key: needs tls_certificate as well");
}

static void test_faults_of_form(void **state)
{
    (void)state;
    refused("[daemon]\nlog_level = info\n", "@:2: log_level: sections are not used");
    refused("\n[daemon\n", "@:2: not a line of the form key = value");
    refused("= 5\n", "@:1: unknown key");
    refused("log_level\n", "@:1: not a line of the form key = value");
    refused("state_dir = a\x01z\n", "@:1: state_dir: must be a text in UTF-8 without control characters");
    refused("state_dir = \xff\n", "@: not a text in UTF-8");
    refused("allow_targets = 10.0.0.0/8, nowhere, ::1\n",
            "@:1: allow_targets: \"nowhere\" is no network: write 10.0.0.0/8, 127.0.0.1 or fd00::/8");
    refused("tls_certificate = /c\n", "tls_certificate: needs tls_key as well");
    write_file("log_level = info\0\n", 18);
    assert_err(rb_config_load(path, &config, why, sizeof(why)), RB_ERR_INVALID);
    assert_non_null(strstr(why, "not a text"));
}

static void test_values_at_their_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        bool good;
    } cases[] = {
        {"write_connections = 1", true},
        {"write_connections = 16", true},
        {"write_connections = 0", false},
        {"write_connections = 17", false},
        {"write_connections = -1", false},
        {"write_connections = +2", false},
        {"write_connections = 2.0", false},
        {"write_connections = 2x", false},
        {"write_connections = 0x2", false},
        {"write_connections = 18446744073709551618", false}, /* 2 when it wraps around */
        {"write_connections =", false},
        {"max_per_address = 0", true},
        {"intake_queue = 0", false},
        {"delivery_connections = 1024", true},
        {"delivery_connections = 1025", false},
        {"reuse_port = TRUE", false},
        {"reuse_port = 1", false},
        {"public_url = http://x", true},
        {"public_url = http://[::1]:8080/", true},
        {"public_url = http://", false},
        {"public_url = http:///path", false},
        {"public_url = HTTP://x", false},
        {"public_url = http://x?y=z", false},
        {"public_url = http://x#y", false},
        {"public_url = http://user@x", false},
        {"public_url = http://x:0", false},
        {"public_url = http://x:65536", false},
        {"public_url = http://x:", false},
        {"public_url = http://x:-1", false},
        {"public_url = http://x y", false},
        {"public_url = http://x/\"", false},
        {"public_url = http://x/<a>", false},
        {"public_url =", false},
        {"timezone = Asia/Urumqi", true},
        {"timezone = ../../../etc/passwd", false},
        {"timezone = /etc/localtime", false},
        {"timezone = Asia", false}, /* a folder */
        {"timezone = tzdata.zi", false},
        {"timezone = zone.tab", false},
        {"timezone =", false},
        {"listen_gateway = 127.0.0.1", false},
        {"listen_gateway = example.org:80", false},
        {"listen_gateway = localhost:80", true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        enum rb_err err = load(cases[i].line);
        if ((err == RB_OK) != cases[i].good)
            fail_msg("%s: %s", cases[i].line, why);
        rb_config_deinit(&config);
    }
}

static void test_long_lines_and_files(void **state)
{
    (void)state;
    static char text[70000];
    memset(text, 'x', sizeof(text));
    memcpy(text, "database = ", 11);
    memcpy(text + 60000, "\nlog_level = loud", 18);
    assert_err(load(text), RB_ERR_INVALID);
    assert_string_equal(strrchr(why, ':') + 1, " must be error, warning, info or debug");
    assert_non_null(strstr(why, ":2: ")); /* the long line counts as one */
    text[60000] = '\0';
    assert_ok(load(text));
    assert_int_equal(strlen(config.database), 60000 - 11);
    rb_config_deinit(&config);
    memset(text, '\n', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_err(load(text), RB_ERR_INVALID);
    assert_non_null(strstr(why, "longer than 65536 bytes"));
}

static void test_little_room_for_faults(void **state)
{
    (void)state;
    char small[20];
    write_file("a = 1\nb = 2\n", 12);
    assert_err(rb_config_load(path, &config, small, sizeof(small)), RB_ERR_INVALID);
    assert_int_equal(strlen(small), sizeof(small) - 1);
    assert_err(rb_config_load(path, &config, NULL, 0), RB_ERR_INVALID);
}

static void test_which_file(void **state)
{
    (void)state;
    write_file("batch_events = 5\n", 17);
    assert_err(rb_config_load("/nowhere/ringback.conf", &config, why, sizeof(why)), RB_ERR_INVALID);
    assert_string_equal(why, "/nowhere/ringback.conf: No such file or directory");
    assert_err(rb_config_load("/", &config, why, sizeof(why)), RB_ERR_INVALID);
    if (access("/etc/ringback/ringback.conf", F_OK) != 0) /* the machine's own may be absent */
        assert_ok(rb_config_load(NULL, &config, why, sizeof(why)));
    rb_config_deinit(&config);
    setenv("RINGBACK_CONFIG", path, 1);
    assert_ok(rb_config_load(NULL, &config, why, sizeof(why)));
    assert_int_equal(config.batch_events, 5);
    rb_config_deinit(&config);
    setenv("RINGBACK_CONFIG", "/nowhere/ringback.conf", 1);
    assert_err(rb_config_load(NULL, &config, why, sizeof(why)), RB_ERR_INVALID);
    assert_ok(rb_config_load(path, &config, why, sizeof(why))); /* the command line wins */
}

/* What a print function writes; the caller frees it. */
static char *printed(bool markdown)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    if (markdown)
        rb_config_print_markdown(out);
    else
        rb_config_print(&config, out);
    fclose(out);
    return text;
}

static void test_print_reads_back(void **state)
{
    (void)state;
    assert_ok(load("database = host=a user=b\nreuse_port = true\nbatch_events = 7\nlisten_console = [::1]:1\n"
                   "allow_targets = 10.0.0.0/8\ntls_key = /k\ntls_certificate = /c\n"));
    char *first = printed(false);
    rb_config_deinit(&config);
    assert_ok(load(first));
    char *second = printed(false);
    assert_string_equal(first, second);
    assert_non_null(strstr(first, "\nbatch_events = 7\n"));
    assert_non_null(strstr(first, "# whole number from 1 to 256, by default 64; a change takes a restart\n"));
    assert_non_null(strstr(first, "by default info; taken over on SIGHUP\nlog_level = info\n"));
    free(first);
    free(second);
}

static void test_print_masks_passwords(void **state)
{
    (void)state;
    assert_ok(load("database = postgresql://u:hunter2@h/d?sslpassword=hunter2\n"));
    char *text = printed(false);
    assert_null(strstr(text, "hunter2"));
    assert_non_null(strstr(text, "database = postgresql://u:***@h/d?sslpassword=***\n"));
    free(text);
}

static void test_markdown_names_every_key(void **state)
{
    (void)state;
    assert_ok(load(""));
    char *table = printed(true), *listing = printed(false);
    size_t keys = 0;
    for (char *line = strtok(listing, "\n"); line; line = strtok(NULL, "\n")) {
        char cell[100];
        if (*line == '#')
            continue;
        snprintf(cell, sizeof(cell), "\n| `%.*s` | ", (int)strcspn(line, " "), line);
        assert_non_null(strstr(table, cell));
        keys++;
    }
    assert_int_equal(keys, 25);
    free(table);
    free(listing);
}

static void test_the_page_is_of_today(void **state)
{
    (void)state;
    char page[20000];
    FILE *file = fopen("docs/configuration.md", "r"); /* made by ringbackd --config-markdown */
    assert_non_null(file);
    page[fread(page, 1, sizeof(page) - 1, file)] = '\0';
    fclose(file);
    char *text = printed(true);
    assert_string_equal(page, text);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_defaults, clear),
        cmocka_unit_test_teardown(test_file, clear),
        cmocka_unit_test_teardown(test_environment_wins, clear),
        cmocka_unit_test_teardown(test_every_fault_is_told, clear),
        cmocka_unit_test_teardown(test_faults_of_form, clear),
        cmocka_unit_test_teardown(test_values_at_their_bounds, clear),
        cmocka_unit_test_teardown(test_long_lines_and_files, clear),
        cmocka_unit_test_teardown(test_little_room_for_faults, clear),
        cmocka_unit_test_teardown(test_which_file, clear),
        cmocka_unit_test_teardown(test_print_reads_back, clear),
        cmocka_unit_test_teardown(test_print_masks_passwords, clear),
        cmocka_unit_test_teardown(test_markdown_names_every_key, clear),
        cmocka_unit_test(test_the_page_is_of_today),
    };
    return cmocka_run_group_tests_name("config", tests, start, end);
}
