/*
 * The configuration of common/config.h: read once by each program and again on SIGHUP. The table below is the
 * only place that knows a key; what a value must be like is common/setting. Never logs a value.
 */
#include "common/config.h"

#include <errno.h>
#include <ini.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/conninfo.h"
#include "common/log.h"
#include "common/setting.h"
#include "common/utf8.h"

#define DEFAULT_PATH "/etc/ringback/ringback.conf"
#define ENV_PREFIX "RINGBACK_"
#define ENV_CONFIG ENV_PREFIX "CONFIG" /* names the file, is no key */
#define FILE_BYTES 65536

extern char **environ;

#define AT(field) .offset = offsetof(struct rb_config, field), .name = #field

static const struct rb_setting rows[] = {
    {AT(database), RB_SETTING_TEXT, "",
     .help = "libpq connection string, as URI or key=value; several hosts are allowed. Empty: libpq's own "
             "defaults and PG* variables."},
    {AT(listen_console), RB_SETTING_ADDRESS, "127.0.0.1:8080",
     .help = "Where the console is served: host:port or [v6]:port, * for all IPv4; port 0 takes a free one."},
    {AT(listen_gateway), RB_SETTING_ADDRESS, "127.0.0.1:8081",
     .help = "Where gateways send events, and where /healthz, /readyz and /metrics are."},
    {AT(reuse_port), RB_SETTING_BOOL, "false",
     .help = "true lets several daemons share the listeners (SO_REUSEPORT)."},
    {AT(public_url), RB_SETTING_URL, "http://127.0.0.1:8080",
     .help = "The address under which people reach the console; acknowledge links start with it."},
    {AT(timezone), RB_SETTING_TIMEZONE, "Asia/Shanghai",
     .help = "Time zone of the branch: order days and cycles turn at its midnight."},
    {AT(log_level), RB_SETTING_LEVEL, "info", .reloadable = true,
     .help = "Least level that is logged: error, warning, info or debug."},
    {AT(allow_targets), RB_SETTING_NETWORKS, "",
     .help =
         "Networks, separated by commas, that notifications may reach although they are loopback, private "
         "or link-local."},
    {AT(state_dir), RB_SETTING_PATH, "/var/lib/ringback",
     .help = "Folder for what the daemon keeps in files."},
    {AT(secret_key_file), RB_SETTING_PATH, "",
     .help = "The key that encrypts stored signing secrets; made on first use with mode 0600. Empty: "
             "secret.key in state_dir."},
    {AT(trusted_proxies), RB_SETTING_NETWORKS, "",
     .help = "Networks, separated by commas, of proxies whose X-Forwarded-For is believed."},
    {AT(tls_certificate), RB_SETTING_PATH, "",
     .help = "PEM file of certificate and chain, read again on SIGHUP. Empty: plain HTTP on both listeners."},
    {AT(tls_key), RB_SETTING_PATH, "", .help = "PEM file of the certificate's key, read again on SIGHUP."},
    {AT(write_connections), RB_SETTING_INT, "2", 1, 16,
     .help = "Connections to PostgreSQL that store events."},
    {AT(max_connections), RB_SETTING_INT, "4096", 16, 65536, .help = "HTTP connections in all."},
    {AT(max_per_address), RB_SETTING_INT, "0", 0, 65536,
     .help = "HTTP connections of one client address. 0: half of max_connections."},
    {AT(intake_queue), RB_SETTING_INT, "4096", 1, 65536,
     .help = "Events that may wait to be stored; beyond it they are answered 503."},
    {AT(batch_events), RB_SETTING_INT, "64", 1, 256, .help = "Most events in one transaction."},
    {AT(delivery_connections), RB_SETTING_INT, "64", 1, 1024,
     .help = "Connections for notifications going out, in all."},
    {AT(smtp_relay), RB_SETTING_RELAY, "",
     .help = "The mail relay: smtp://host:port, or smtps://host:port for TLS from the first byte. It may be "
             "inside. Empty: no e-mail."},
    {AT(smtp_from), RB_SETTING_MAIL, "", .help = "The address that e-mail comes from."},
    {AT(smtp_user), RB_SETTING_TEXT, "", .help = "Name for the log-in at the relay. Empty: none."},
    {AT(smtp_password_file), RB_SETTING_PATH, "",
     .help = "File whose first line is the password for it, for the daemon's user alone."},
    {AT(smtp_tls), RB_SETTING_TLS, "try",
     .help = "TLS after smtp://: try (STARTTLS when the relay offers it), require, or none."},
    {AT(smtp_per_minute), RB_SETTING_INT, "60", 1, 6000,
     .help = "E-mails that the relay takes in a minute, from all daemons for one branch."},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* --- faults: one line each, all of them --- */

struct faults {
    char *text;
    size_t size, len;
    bool any;
};

static void RB_PRINTF(2, 3) add_fault(struct faults *faults, const char *fmt, ...)
{
    faults->any = true;
    if (faults->len + 1 >= faults->size)
        return;
    if (faults->len)
        faults->text[faults->len++] = '\n';
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(faults->text + faults->len, faults->size - faults->len, fmt, args);
    va_end(args);
    size_t room = faults->size - faults->len - 1;
    faults->len += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room;
}

static const struct rb_setting *find_row(const char *name)
{
    for (size_t i = 0; i < ROWS; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

/* --- the file --- */

struct reading {
    struct rb_config *config;
    struct faults *faults;
    const char *path;
    const char *at; /* what inih has not seen yet */
    int line;
    int fault_line; /* the last one with a fault of ours */
    bool nomem;
    bool seen[ROWS];
};

/* inih's fgets, from memory; counts the lines. */
static char *on_read(char *out, int size, void *ctx)
{
    struct reading *reading = ctx;
    if (!*reading->at || size < 2)
        return NULL;
    size_t len = strcspn(reading->at, "\n");
    len += reading->at[len] == '\n';
    if (len > (size_t)size - 1)
        len = (size_t)size - 1;
    memcpy(out, reading->at, len);
    out[len] = '\0';
    reading->at += len;
    reading->line++;
    return out;
}

static void on_fault(struct reading *reading, const char *name, const char *why)
{
    if (reading->line != reading->fault_line)
        add_fault(reading->faults, "%s:%d: %s%s%s", reading->path, reading->line, name, *name ? ": " : "",
                  why);
    reading->fault_line = reading->line;
}

static int on_pair(void *ctx, const char *section, const char *name, const char *value)
{
    struct reading *reading = ctx;
    const struct rb_setting *row = find_row(name);
    char why[200];
    if (!value) {
        on_fault(reading, "", "not a line of the form key = value");
    } else if (*section) {
        on_fault(reading, name, "sections are not used");
    } else if (!row) {
        on_fault(reading, name, "unknown key");
    } else if (reading->seen[row - rows]) {
        on_fault(reading, name, "given twice");
    } else {
        reading->seen[row - rows] = true;
        enum rb_err err = rb_setting_put(row, reading->config, value, why, sizeof(why));
        reading->nomem |= err == RB_ERR_NOMEM;
        if (err != RB_OK)
            on_fault(reading, name, why);
    }
    return 1;
}

static enum rb_err read_text(struct reading *reading)
{
    /* Debian's inih has its options as variables. */
    ini_allow_multiline = false; /* an indented line is a key like any other */
    ini_allow_inline_comments = false;
    ini_allow_no_value = true;
    ini_use_stack = false;
    ini_allow_realloc = true;
    ini_initial_alloc = FILE_BYTES + 3; /* no line is longer: on_read is called once a line */
    ini_max_line = FILE_BYTES + 3;
    int line = ini_parse_stream(on_read, reading, on_pair, reading);
    if (line == -2 || reading->nomem)
        return RB_ERR_NOMEM;
    if (line > 0) { /* a section without its bracket, which on_pair never sees */
        reading->line = line;
        on_fault(reading, "", "not a line of the form key = value");
    }
    return RB_OK;
}

static enum rb_err read_file(const char *path, bool may_be_absent, struct rb_config *config,
                             struct faults *faults)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        if (errno == ENOENT && may_be_absent)
            return RB_OK;
        add_fault(faults, "%s: %s", path, strerror(errno));
        return RB_OK;
    }
    enum rb_err err = RB_ERR_NOMEM;
    char *text = malloc(FILE_BYTES + 1);
    if (text) {
        err = RB_OK;
        errno = 0;
        size_t len = fread(text, 1, FILE_BYTES + 1, file);
        if (ferror(file))
            add_fault(faults, "%s: %s", path, strerror(errno));
        else if (len > FILE_BYTES)
            add_fault(faults, "%s: longer than %d bytes", path, FILE_BYTES);
        else if (memchr(text, '\0', len) || !rb_utf8_valid(text, len))
            add_fault(faults, "%s: not a text in UTF-8", path);
        else {
            text[len] = '\0';
            struct reading reading = {.config = config, .faults = faults, .path = path, .at = text};
            err = read_text(&reading);
        }
    }
    free(text);
    fclose(file);
    return err;
}

/* --- the environment --- */

static void env_name(const char *name, char out[64])
{
    size_t i = strlen(ENV_PREFIX);
    memcpy(out, ENV_PREFIX, i);
    for (; *name && i < 63; name++)
        out[i++] = *name >= 'a' && *name <= 'z' ? (char)(*name - 'a' + 'A') : *name;
    out[i] = '\0';
}

static enum rb_err read_environment(struct rb_config *config, struct faults *faults)
{
    for (size_t i = 0; i < ROWS; i++) {
        char name[64], why[200];
        env_name(rows[i].name, name);
        const char *value = getenv(name);
        enum rb_err err = value ? rb_setting_put(&rows[i], config, value, why, sizeof(why)) : RB_OK;
        if (err == RB_ERR_NOMEM)
            return err;
        if (err != RB_OK)
            add_fault(faults, "%s: %s", name, why);
    }
    return RB_OK;
}

/* A variable that nobody reads is no fault, since it may be another program's; a misspelt one shows. */
static void warn_of_unknown_variables(void)
{
    size_t prefix = strlen(ENV_PREFIX);
    for (char **variable = environ; variable && *variable; variable++) {
        size_t len = strcspn(*variable, "=");
        bool known = strncmp(*variable, ENV_PREFIX, prefix) != 0 ||
                     (len == strlen(ENV_CONFIG) && strncmp(*variable, ENV_CONFIG, len) == 0);
        for (size_t i = 0; i < ROWS && !known; i++) {
            char name[64];
            env_name(rows[i].name, name);
            known = strlen(name) == len && strncmp(*variable, name, len) == 0;
        }
        if (!known)
            rb_warning("config", "unknown variable in the environment name=%.*s", (int)len, *variable);
    }
}

/* --- the whole --- */

static enum rb_err put_defaults(struct rb_config *config, struct faults *faults)
{
    char why[200];
    for (size_t i = 0; i < ROWS; i++) {
        enum rb_err err = rb_setting_put(&rows[i], config, rows[i].initial, why, sizeof(why));
        if (err == RB_ERR_NOMEM)
            return err;
        if (err != RB_OK) /* a machine without time zones */
            add_fault(faults, "%s: %s", rows[i].name, why);
    }
    return RB_OK;
}

static enum rb_err complete(struct rb_config *config, struct faults *faults)
{
    if (!*config->tls_certificate != !*config->tls_key)
        add_fault(faults, "%s: needs %s as well", *config->tls_key ? "tls_key" : "tls_certificate",
                  *config->tls_key ? "tls_certificate" : "tls_key");
    if (*config->smtp_relay && !*config->smtp_from)
        add_fault(faults, "smtp_relay: needs smtp_from as well");
    if (!*config->smtp_user != !*config->smtp_password_file)
        add_fault(faults, "%s: needs %s as well", *config->smtp_user ? "smtp_user" : "smtp_password_file",
                  *config->smtp_user ? "smtp_password_file" : "smtp_user");
    if (*config->smtp_user && strncmp(config->smtp_relay, "smtp:", 5) == 0 &&
        strcmp(config->smtp_tls, "try") == 0)
        add_fault(faults, "smtp_user: needs smtp_tls = require (or none, if the password may go in clear)");
    if (!*config->secret_key_file) {
        char *path = NULL;
        if (asprintf(&path, "%s/secret.key", config->state_dir) < 0)
            return RB_ERR_NOMEM;
        free(config->secret_key_file);
        config->secret_key_file = path;
    }
    return RB_OK;
}

enum rb_err rb_config_load(const char *path, struct rb_config *config, char *why, size_t size)
{
    struct faults faults = {.text = why, .size = size};
    bool may_be_absent = false;
    if (size)
        why[0] = '\0';
    if (!path)
        path = getenv(ENV_CONFIG);
    if (!path || !*path) {
        path = DEFAULT_PATH;
        may_be_absent = true;
    }
    memset(config, 0, sizeof(*config));
    enum rb_err err = put_defaults(config, &faults);
    if (err == RB_OK)
        err = read_file(path, may_be_absent, config, &faults);
    if (err == RB_OK)
        err = read_environment(config, &faults);
    if (err == RB_OK)
        err = complete(config, &faults);
    if (err == RB_OK && faults.any)
        err = RB_ERR_INVALID;
    if (err == RB_ERR_NOMEM)
        add_fault(&faults, "no memory");
    if (err != RB_OK)
        rb_config_deinit(config);
    else
        warn_of_unknown_variables();
    return err;
}

void rb_config_deinit(struct rb_config *config)
{
    for (size_t i = 0; i < ROWS; i++)
        rb_setting_clear(&rows[i], config);
}

static void print_notes(const struct rb_setting *row, FILE *out)
{
    fprintf(out, "# %s\n# %s", row->help, rb_setting_type_name(row));
    if (row->type == RB_SETTING_INT)
        fprintf(out, " from %d to %d", row->lo, row->hi);
    fprintf(out, ", by default %s; %s\n", *row->initial ? row->initial : "empty",
            row->reloadable ? "taken over on SIGHUP" : "a change takes a restart");
}

void rb_config_print(const struct rb_config *config, FILE *out)
{
    for (size_t i = 0; i < ROWS; i++) {
        struct rb_buf value;
        rb_buf_init(&value, 2 * FILE_BYTES);
        if (strcmp(rows[i].name, "database") == 0)
            rb_conninfo_mask(&value, config->database);
        else
            rb_setting_write(&rows[i], config, &value);
        print_notes(&rows[i], out);
        fprintf(out, "%s =%s%s\n%s", rows[i].name, value.len ? " " : "", value.data ? value.data : "",
                i + 1 < ROWS ? "\n" : "");
        rb_buf_deinit(&value);
    }
}

void rb_config_print_markdown(FILE *out)
{
    fprintf(out,
            "# Configuration\n\n"
            "`--config FILE`, else the file named by `" ENV_CONFIG "`, else `" DEFAULT_PATH "`: lines of\n"
            "`key = value`, comments start with `#` or `;`. Each key can also be given in the environment\n"
            "as `" ENV_PREFIX "` and the key in capitals (`" ENV_PREFIX "LOG_LEVEL=debug`), which wins.\n"
            "`ringbackd --print-config` shows what is in force, `SIGHUP` reads it again. This page is\n"
            "made from the program's own table.\n\n"
            "| key | value | default | on SIGHUP | meaning |\n| --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < ROWS; i++) {
        const struct rb_setting *row = &rows[i];
        fprintf(out, "| `%s` | %s", row->name, rb_setting_type_name(row));
        if (row->type == RB_SETTING_INT)
            fprintf(out, ", %d to %d", row->lo, row->hi);
        fprintf(out, *row->initial ? " | `%s` |" : " | %sempty |", row->initial);
        fprintf(out, " %s | %s |\n", row->reloadable ? "taken over" : "restart", row->help);
    }
}
