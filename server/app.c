/*
 * Makes the rooms and wires them; walks through start, reload and drain. No other file knows more than its
 * neighbours.
 *
 * Drain: the listeners stop, what was taken is committed and answered, running deliveries end; ten seconds at
 * the most.
 */
#include "server/app.h"

#include <curl/curl.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/net.h"
#include "common/seal.h"
#include "server/console/acknowledge.h"
#include "server/console/answer.h"
#include "server/console/desk.h"
#include "server/console/document.h"
#include "server/console/entry.h"
#include "server/console/login.h"
#include "server/console/password.h"
#include "server/console/streams.h"
#include "server/db/db.h"
#include "server/gateway/auth.h"
#include "server/gateway/cloudevents.h"
#include "server/gateway/probes.h"
#include "server/http/http.h"
#include "server/intake/intake.h"
#include "server/outbox/outbox.h"
#include "server/promise/promise.h"
#include "server/promise/watch.h"

enum { DRAIN_SECONDS = 10, WHY_BYTES = 512, CONFIG_WHY_BYTES = 8192, SIGNALS = 3, PASSWORDS_WAITING = 128 };

/* One pool for each kind of work, so that none waits for another. */
enum pool { POOL_INTAKE, POOL_LOOKUP, POOL_CLOCK, POOL_OUTBOX, POOL_CONSOLE, POOL_FEED, POOLS };

struct app {
    const struct rb_config *config;
    const char *config_path;
    struct event_base *base;
    struct event *signals[SIGNALS];
    struct event *watchdog;
    struct event *deadline; /* of the drain */
    struct rb_networks *proxies;
    struct rb_networks *allowed;
    struct rb_seal *seal;
    struct rb_relay relay;
    char smtp_password[256];
    struct rb_db *db[POOLS];
    struct rb_http *http;
    struct rb_auth *auth;
    struct rb_intake *intake;
    struct rb_outbox *outbox;
    struct rb_promise *promise;
    struct rb_promise_watch *promise_watch;
    struct rb_gateway_ctx gateway;
    struct rb_document *document;
    struct rb_guard *guard;
    struct rb_hasher *hasher;
    struct rb_login *login;
    struct rb_password *password;
    struct rb_desk *desk;
    struct rb_streams *streams;
    bool draining;
    bool forced;
};

/* --- routes --- */

static void get_health(struct rb_request *req, void *ctx)
{
    (void)ctx;
    rb_probe_health(req);
}

static void get_ready(struct rb_request *req, void *ctx)
{
    struct app *app = ctx;
    rb_probe_ready(req, app->db[POOL_LOOKUP], app->db[POOL_INTAKE]);
}

static void get_metrics(struct rb_request *req, void *ctx)
{
    (void)ctx;
    rb_probe_metrics(req);
}

static void post_events(struct rb_request *req, void *ctx)
{
    struct app *app = ctx;
    rb_cloudevents_post(req, &app->gateway);
}

static void get_openapi(struct rb_request *req, void *ctx)
{
    struct app *app = ctx;
    size_t len;
    const char *text = rb_document_text(app->document, &len);
    rb_answer(req, 200, "application/json", NULL, 0, text, len);
}

static void log_in(struct rb_request *req, void *ctx)
{
    struct app *app = ctx;
    rb_login_handle(app->login, req);
}

static void log_out(struct rb_request *req, void *ctx)
{
    struct app *app = ctx;
    rb_desk_leave(app->desk, req);
}

static void change_password(struct rb_request *req, void *ctx)
{
    struct app *app = ctx;
    rb_password_handle(app->password, req);
}

static void on_entry(void *ctx, struct rb_request *req, const char *allowed)
{
    struct app *app = ctx;
    rb_entry_post(req, app->intake, allowed);
}

static void enter_event(struct rb_request *req, void *ctx)
{
    struct app *app = ctx;
    rb_desk_handle_then(app->desk, req, on_entry, app);
}

static void ask_desk(struct rb_request *req, void *ctx)
{
    struct app *app = ctx;
    rb_desk_handle(app->desk, req);
}

static void open_stream(struct rb_request *req, void *ctx)
{
    struct app *app = ctx;
    rb_streams_open(app->streams, app->desk, req);
}

static void show_acknowledge(struct rb_request *req, void *ctx)
{
    struct app *app = ctx;
    rb_acknowledge_show(req, app->db[POOL_CONSOLE]);
}

static void post_acknowledge(struct rb_request *req, void *ctx)
{
    struct app *app = ctx;
    rb_acknowledge_post(req, app->db[POOL_CONSOLE]);
}

static const struct rb_route gateway_routes[] = {
    {"POST", "/v1/events", post_events, rb_cloudevents_body_limit},
    {"GET", "/healthz", get_health, NULL},
    {"GET", "/readyz", get_ready, NULL},
    {"GET", "/metrics", get_metrics, NULL},
};

/* The console's routes are those of the OpenAPI document; these the desk does not handle alone. */
static const struct rb_special specials[] = {{"get_openapi", get_openapi, NULL},
                                             {"show_acknowledge", show_acknowledge, NULL},
                                             {"acknowledge_by_link", post_acknowledge, NULL},
                                             {"add_order", enter_event, NULL},
                                             {"add_complaint", enter_event, NULL},
                                             {"open_stream", open_stream, NULL},
                                             {"log_in", log_in, rb_login_body_limit},
                                             {"log_out", log_out, NULL},
                                             {"end_sessions", log_out, NULL},
                                             {"change_password", change_password, rb_login_body_limit},
                                             {NULL, NULL, NULL}};

/* --- what the rooms tell each other --- */

static void on_complaints_stored(void *ctx)
{
    struct app *app = ctx;
    rb_outbox_wake(app->outbox);
    rb_promise_wake(app->promise);
}

static void on_steps_fired(void *ctx)
{
    struct app *app = ctx;
    rb_outbox_wake(app->outbox);
}

/* --- the end --- */

static void on_outbox_drained(void *ctx)
{
    struct app *app = ctx;
    event_base_loopexit(app->base, NULL);
}

static void on_http_drained(void *ctx)
{
    struct app *app = ctx;
    rb_outbox_drain(app->outbox, on_outbox_drained, app);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    struct app *app = arg;
    (void)fd;
    (void)what;
    rb_warning("app", "drain took too long, leaving events=%u connections=%u", rb_intake_waiting(app->intake),
               rb_http_connections(app->http));
    app->forced = true;
    event_base_loopbreak(app->base);
}

static void drain(struct app *app)
{
    struct timeval limit = {.tv_sec = DRAIN_SECONDS - 1, .tv_usec = 500000};
    if (app->draining)
        return;
    app->draining = true;
    rb_info("app", "draining events=%u connections=%u", rb_intake_waiting(app->intake),
            rb_http_connections(app->http));
    sd_notify(0, "STOPPING=1");
    evtimer_add(app->deadline, &limit);
    rb_http_drain(app->http, on_http_drained, app);
}

static void reload(struct app *app)
{
    struct rb_config config;
    char why[CONFIG_WHY_BYTES];
    enum rb_log_level level;
    bool whole = true;
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)rb_clock_mono());
    if (rb_config_load(app->config_path, &config, why, sizeof(why)) == RB_OK) {
        if (rb_log_level_parse(config.log_level, &level) == RB_OK)
            rb_log_set_level(level);
        rb_config_deinit(&config);
    } else {
        rb_error("app", "configuration not taken over: %s", why);
        whole = false;
    }
    if (rb_http_reload_tls(app->http, why, sizeof(why)) != RB_OK) {
        rb_error("app", "certificate not taken over: %s", why);
        whole = false;
    }
    if (whole)
        rb_info("app", "reloaded log_level=%d", (int)rb_log_level());
    sd_notify(0, "READY=1");
}

static void on_signal(evutil_socket_t signal_number, short what, void *arg)
{
    struct app *app = arg;
    (void)what;
    if (signal_number == SIGHUP)
        reload(app);
    else
        drain(app);
}

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    sd_notify(0, "WATCHDOG=1");
}

/* --- the beginning --- */

/* As many descriptors as the process may have: one for each connection, and some for the database and
 * deliveries. */
static void raise_descriptors(const struct rb_config *config)
{
    enum { OTHERS = 64 };
    struct rlimit limit;
    rlim_t wanted = (rlim_t)config->max_connections + (rlim_t)config->delivery_connections + OTHERS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted)
        rb_warning("app", "descriptors are fewer than connections may need limit=%llu wanted=%llu",
                   (unsigned long long)limit.rlim_cur, (unsigned long long)wanted);
}

static bool open_networks(struct app *app)
{
    const char *bad;
    if (rb_networks_parse(app->config->trusted_proxies, &app->proxies, &bad) != RB_OK ||
        rb_networks_parse(app->config->allow_targets, &app->allowed, &bad) != RB_OK) {
        rb_error("app", "no network: %s", bad);
        return false;
    }
    return true;
}

static bool open_seal(struct app *app)
{
    enum rb_err err = rb_seal_open(app->config->secret_key_file, &app->seal);
    if (err == RB_ERR_INVALID)
        rb_error("app",
                 "secret_key_file is no key of 64 hexadecimal digits, or others may read it (chmod 0600): %s",
                 app->config->secret_key_file);
    else if (err != RB_OK)
        rb_error("app", "secret_key_file cannot be read or made: %s: %m", app->config->secret_key_file);
    return err == RB_OK;
}

/* The file's first line. */
static bool read_smtp_password(struct app *app)
{
    const char *path = app->config->smtp_password_file;
    if (!*path)
        return true;
    FILE *file = fopen(path, "re");
    bool read = file && fgets(app->smtp_password, sizeof(app->smtp_password), file) != NULL;
    if (!read)
        rb_error("app", "smtp_password_file cannot be read: %s: %s", path,
                 file ? "it is empty" : strerror(errno));
    if (file)
        fclose(file);
    app->smtp_password[strcspn(app->smtp_password, "\r\n")] = '\0';
    return read;
}

static bool open_relay(struct app *app)
{
    const struct rb_config *config = app->config;
    app->relay = (struct rb_relay){.url = config->smtp_relay,
                                   .from = config->smtp_from,
                                   .user = config->smtp_user,
                                   .password = app->smtp_password,
                                   .tls = strcmp(config->smtp_tls, "require") == 0 ? RB_MAIL_TLS_REQUIRE
                                          : strcmp(config->smtp_tls, "none") == 0  ? RB_MAIL_TLS_NONE
                                                                                   : RB_MAIL_TLS_TRY};
    return read_smtp_password(app);
}

static void open_pools(struct app *app)
{
    static const struct {
        const char *name;
        const char *role;
        unsigned connections;
    } pools[POOLS] = {
        [POOL_INTAKE] = {"intake", "ringback_app", 0},       [POOL_LOOKUP] = {"lookup", "ringback_app", 1},
        [POOL_CLOCK] = {"clock", "ringback_app", 1},         [POOL_OUTBOX] = {"outbox", "ringback_app", 2},
        [POOL_CONSOLE] = {"console", "ringback_console", 4}, [POOL_FEED] = {"feed", "ringback_app", 1}};
    for (int i = 0; i < POOLS; i++) {
        struct rb_db_options options = {.conninfo = app->config->database,
                                        .name = pools[i].name,
                                        .role = pools[i].role,
                                        .public_url = app->config->public_url,
                                        .timezone = app->config->timezone,
                                        .various = i == POOL_CONSOLE,
                                        .connections = pools[i].connections
                                                           ? pools[i].connections
                                                           : (unsigned)app->config->write_connections,
                                        .queue = 256};
        app->db[i] = rb_db_new(app->base, &options);
    }
}

static void open_rooms(struct app *app)
{
    struct rb_intake_options intake = {.queue = (unsigned)app->config->intake_queue,
                                       .batch = (unsigned)app->config->batch_events,
                                       .stored = on_complaints_stored,
                                       .stored_ctx = app};
    struct rb_outbox_options outbox = {.connections = (unsigned)app->config->delivery_connections,
                                       .allowed = app->allowed,
                                       .seal = app->seal,
                                       .relay = &app->relay,
                                       .mail_rate = (unsigned)app->config->smtp_per_minute};
    app->auth = rb_auth_new(app->base, app->db[POOL_LOOKUP], app->seal);
    app->intake = rb_intake_new(app->base, app->db[POOL_INTAKE], &intake);
    app->outbox = rb_outbox_new(app->base, app->db[POOL_OUTBOX], &outbox);
    app->promise = rb_promise_new(app->base, app->db[POOL_CLOCK], on_steps_fired, app);
    app->promise_watch = rb_promise_watch_new(app->base, app->db[POOL_OUTBOX]);
    RB_INVARIANT(app->outbox && app->promise);
    app->gateway = (struct rb_gateway_ctx){.auth = app->auth, .intake = app->intake};
}

/* A fault of the document is one of the build: the unit test of the document finds it. */
static void open_console(struct app *app)
{
    char why[WHY_BYTES] = "";
    app->guard = rb_guard_new(app->config->public_url);
    app->hasher = rb_hasher_new(app->base, PASSWORDS_WAITING);
    app->login = rb_login_new(app->db[POOL_CONSOLE], app->hasher, app->guard);
    app->password = rb_password_new(app->db[POOL_CONSOLE], app->hasher, app->guard);
    app->streams = rb_streams_new(app->base, app->db[POOL_FEED]);
    bool ok = rb_document_new(rb_documents, &app->document, why, sizeof(why)) == RB_OK;
    struct rb_desk_options options = {.db = app->db[POOL_CONSOLE],
                                      .document = app->document,
                                      .guard = app->guard,
                                      .specials = specials,
                                      .handler = ask_desk};
    ok = ok && rb_desk_new(&options, &app->desk, why, sizeof(why)) == RB_OK;
    if (!ok)
        rb_error("console", "the OpenAPI document is at fault: %s", why);
    RB_INVARIANT(ok);
}

static bool open_listener(struct app *app, const char *name, const char *address,
                          const struct rb_route *routes, size_t n)
{
    const struct rb_config *config = app->config;
    const char *certificate = *config->tls_certificate ? config->tls_certificate : NULL;
    char bound[RB_ADDR_SIZE];
    char why[WHY_BYTES];
    if (rb_http_listen(app->http, name, address, config->reuse_port, certificate,
                       certificate ? config->tls_key : NULL, routes, n, app, bound, why,
                       sizeof(why)) != RB_OK) {
        rb_error("app", "listener not opened name=%s address=%s reason=\"%s\"", name, address, why);
        return false;
    }
    rb_info("http", "listening name=%s address=%s tls=%s", name, bound, certificate ? "yes" : "no");
    return true;
}

static bool open_http(struct app *app)
{
    struct rb_http_limits limits;
    rb_http_limits_default(&limits);
    limits.connections = (unsigned)app->config->max_connections;
    limits.per_address =
        app->config->max_per_address ? (unsigned)app->config->max_per_address : limits.connections / 2;
    app->http = rb_http_new(app->base, &limits, app->proxies);
    size_t n;
    const struct rb_route *routes = rb_desk_routes(app->desk, &n);
    return open_listener(app, "gateway", app->config->listen_gateway, gateway_routes,
                         sizeof(gateway_routes) / sizeof(gateway_routes[0])) &&
           open_listener(app, "console", app->config->listen_console, routes, n);
}

static void open_events(struct app *app)
{
    static const int numbers[SIGNALS] = {SIGTERM, SIGINT, SIGHUP};
    uint64_t us = 0;
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < SIGNALS; i++) {
        app->signals[i] = evsignal_new(app->base, numbers[i], on_signal, app);
        RB_INVARIANT(app->signals[i] && event_add(app->signals[i], NULL) == 0);
    }
    app->deadline = evtimer_new(app->base, on_deadline, app);
    app->watchdog = event_new(app->base, -1, EV_PERSIST, on_watchdog, app);
    RB_INVARIANT(app->deadline && app->watchdog);
    if (sd_watchdog_enabled(0, &us) > 0) {
        struct timeval tv = {.tv_sec = (time_t)(us / 2 / 1000000),
                             .tv_usec = (suseconds_t)(us / 2 % 1000000)};
        event_add(app->watchdog, &tv);
    }
}

/* Connections first: jobs that run end through callbacks into the rooms. */
static void close_all(struct app *app)
{
    rb_http_free(app->http);
    rb_hasher_free(app->hasher);
    for (int i = 0; i < POOLS; i++)
        rb_db_free(app->db[i]);
    rb_promise_watch_free(app->promise_watch);
    rb_promise_free(app->promise);
    rb_outbox_free(app->outbox);
    rb_intake_free(app->intake);
    rb_auth_free(app->auth);
    rb_streams_free(app->streams);
    rb_desk_free(app->desk);
    rb_login_free(app->login);
    rb_password_free(app->password);
    rb_guard_free(app->guard);
    rb_document_free(app->document);
    rb_seal_free(app->seal);
    sodium_memzero(app->smtp_password, sizeof(app->smtp_password));
    rb_networks_free(app->proxies);
    rb_networks_free(app->allowed);
    for (int i = 0; i < SIGNALS; i++)
        if (app->signals[i])
            event_free(app->signals[i]);
    if (app->deadline)
        event_free(app->deadline);
    if (app->watchdog)
        event_free(app->watchdog);
    event_base_free(app->base);
}

int rb_app_run(struct rb_config *config, const char *config_path)
{
    struct app app = {.config = config, .config_path = config_path};
    bool ok = sodium_init() >= 0 && curl_global_init(CURL_GLOBAL_ALL) == 0;
    app.base = event_base_new();
    RB_INVARIANT(ok && app.base);
    rb_set(
        rb_series(rb_gauge("ringback_build_info", "Always 1; the label says which version runs.", "version"),
                  RB_VERSION),
        1);
    ok = open_networks(&app) && open_seal(&app) && open_relay(&app);
    if (ok) {
        raise_descriptors(config);
        open_events(&app);
        open_pools(&app);
        open_rooms(&app);
        open_console(&app);
        ok = open_http(&app);
    }
    if (ok) {
        sd_notify(0, "READY=1");
        rb_info("app", "started version=%s pid=%d", RB_VERSION, (int)getpid());
        event_base_dispatch(app.base);
        rb_info("app", "stopped");
    }
    if (app.forced)
        exit(1); /* requests are still open: the kernel closes what is left */
    close_all(&app);
    curl_global_cleanup();
    return ok ? 0 : 1;
}
