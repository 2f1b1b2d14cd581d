/*
 * The gateways in memory, and the checks of what a request shows. A key that is not known waits for one fresh
 * look-up, shared by all who wait; when the database cannot say, nobody who shows a credential is told that
 * it is wrong.
 */
#include "server/gateway/auth.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/sign.h"

enum { RELOAD_MS = 500, CREDENTIAL_BYTES = 512 };
#define FRESH_US (RB_SECOND / 5)
#define LOOKUP_US RB_SECOND

extern const char rb_sql_gateways[];
static const struct rb_statement gateways_statement = {"gateways", rb_sql_gateways};

struct entry {
    struct rb_gateway gateway;
    char *name;
    char *area_code;
    char *key;
    bool matches; /* scratch of one check */
};

struct waiter {
    TAILQ_ENTRY(waiter) link;
    const struct rb_request *req;
    rb_auth_done_fn done;
    void *ctx;
};
TAILQ_HEAD(waiters, waiter);

struct rb_auth {
    struct rb_db *db;
    const struct rb_seal *seal;
    struct event *timer;
    struct entry *entries;
    size_t n;
    bool loading;
    int64_t loaded_at; /* when the last good look-up was asked for; 0: never */
    int64_t asked_at;
    struct waiters early; /* wait for the look-up that runs */
    struct waiters late;  /* came while it ran: it may have missed their key */
};

static void free_entries(struct entry *entries, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (entries[i].key)
            sodium_memzero(entries[i].key, strlen(entries[i].key));
        free(entries[i].key);
        free(entries[i].name);
        free(entries[i].area_code);
    }
    free(entries);
}

static bool same(const char *a, const char *b)
{
    size_t len = strlen(a);
    return len == strlen(b) && sodium_memcmp(a, b, len) == 0;
}

static bool shows_credential(const struct rb_request *req)
{
    return rb_request_header(req, "authorization") || rb_request_header(req, "webhook-signature");
}

/* Each check keeps only the entries that hold, so that several credentials must be one gateway's. */
static void check_bearer(struct rb_auth *auth, const char *key)
{
    for (size_t i = 0; i < auth->n; i++)
        auth->entries[i].matches &= same(auth->entries[i].key, key);
}

static void check_basic(struct rb_auth *auth, const char *encoded)
{
    char pair[CREDENTIAL_BYTES];
    size_t len = 0;
    bool ok = sodium_base642bin((unsigned char *)pair, sizeof(pair) - 1, encoded, strlen(encoded), NULL, &len,
                                NULL, sodium_base64_VARIANT_ORIGINAL) == 0;
    pair[ok ? len : 0] = '\0';
    char *key = strchr(pair, ':');
    if (key)
        *key++ = '\0';
    for (size_t i = 0; i < auth->n; i++)
        auth->entries[i].matches &=
            key && !strcmp(auth->entries[i].name, pair) && same(auth->entries[i].key, key);
    sodium_memzero(pair, sizeof(pair));
}

static void check_signature(struct rb_auth *auth, const struct rb_request *req)
{
    const char *id = rb_request_header(req, "webhook-id");
    const char *timestamp = rb_request_header(req, "webhook-timestamp");
    const char *signatures = rb_request_header(req, "webhook-signature");
    size_t len;
    const char *body = rb_request_body(req, &len);
    int64_t now = rb_clock_wall() / RB_SECOND;
    for (size_t i = 0; i < auth->n; i++)
        auth->entries[i].matches &=
            id && *id && timestamp && auth->entries[i].matches &&
            rb_sign_verify(auth->entries[i].key, id, timestamp, signatures, body, len, now);
}

static const char *behind_scheme(const char *value, const char *scheme)
{
    size_t len = strlen(scheme);
    if (strncasecmp(value, scheme, len) != 0 || value[len] != ' ')
        return NULL;
    value += len;
    return value + strspn(value, " ");
}

static const struct rb_gateway *match(struct rb_auth *auth, const struct rb_request *req)
{
    const char *authorization = rb_request_header(req, "authorization");
    for (size_t i = 0; i < auth->n; i++)
        auth->entries[i].matches = rb_request_header_count(req, "authorization") < 2;
    if (authorization) {
        const char *bearer = behind_scheme(authorization, "Bearer");
        const char *basic = behind_scheme(authorization, "Basic");
        if (basic)
            check_basic(auth, basic);
        else
            check_bearer(auth, bearer ? bearer : "");
    }
    if (rb_request_header(req, "webhook-signature"))
        check_signature(auth, req);
    for (size_t i = 0; i < auth->n; i++)
        if (auth->entries[i].matches)
            return &auth->entries[i].gateway;
    return NULL;
}

static void tell(struct rb_auth *auth, struct waiters *waiters, bool loaded)
{
    struct waiter *waiter;
    while ((waiter = TAILQ_FIRST(waiters))) {
        TAILQ_REMOVE(waiters, waiter, link);
        const struct rb_gateway *gateway = loaded ? match(auth, waiter->req) : NULL;
        waiter->done(waiter->ctx, gateway ? RB_AUTH_OK : loaded ? RB_AUTH_WRONG : RB_AUTH_AWAY, gateway);
        free(waiter);
    }
}

static void read_rows(struct rb_auth *auth, const struct rb_result *result)
{
    size_t rows = (size_t)rb_result_rows(result);
    struct entry *entries = calloc(rows ? rows : 1, sizeof(*entries));
    size_t n = 0;
    RB_INVARIANT(entries != NULL);
    for (size_t row = 0; row < rows; row++) {
        size_t len;
        struct entry *entry = &entries[n];
        uint8_t *box = rb_result_bytes(result, (int)row, 3, &len);
        if (rb_seal_reveal(auth->seal, box, len, &entry->key) != RB_OK) {
            if (!auth->loaded_at)
                rb_error("gateway",
                         "key cannot be opened: it was sealed under another secret_key_file gateway=%s",
                         rb_result_text(result, (int)row, 2));
            free(box);
            continue;
        }
        free(box);
        const char *area_code = rb_result_text(result, (int)row, 4);
        entry->name = strdup(rb_result_text(result, (int)row, 2));
        entry->area_code = area_code ? strdup(area_code) : NULL;
        entry->gateway = (struct rb_gateway){.branch_id = (int)rb_result_int(result, (int)row, 0),
                                             .gateway_id = (int)rb_result_int(result, (int)row, 1),
                                             .name = entry->name,
                                             .area_code = entry->area_code};
        n++;
    }
    free_entries(auth->entries, auth->n);
    auth->entries = entries;
    auth->n = n;
}

static void on_loaded(void *ctx, enum rb_err err, const struct rb_result *result);

/* False when the database room takes no more jobs. */
static bool load(struct rb_auth *auth)
{
    struct rb_db_step step = {.statement = &gateways_statement};
    if (!auth->loading) {
        auth->asked_at = rb_clock_mono();
        auth->loading = rb_db_submit(auth->db, &step, 1, LOOKUP_US, on_loaded, auth) == RB_OK;
    }
    return auth->loading;
}

static void on_loaded(void *ctx, enum rb_err err, const struct rb_result *result)
{
    struct rb_auth *auth = ctx;
    auth->loading = false;
    if (err == RB_OK) {
        read_rows(auth, result);
        auth->loaded_at = auth->asked_at;
    }
    tell(auth, &auth->early, err == RB_OK);
    TAILQ_CONCAT(&auth->early, &auth->late, link);
    if (!TAILQ_EMPTY(&auth->early) && !load(auth))
        tell(auth, &auth->early, false);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    load(arg);
}

struct rb_auth *rb_auth_new(struct event_base *base, struct rb_db *db, const struct rb_seal *seal)
{
    struct rb_auth *auth = calloc(1, sizeof(*auth));
    RB_INVARIANT(auth != NULL);
    auth->db = db;
    auth->seal = seal;
    TAILQ_INIT(&auth->early);
    TAILQ_INIT(&auth->late);
    auth->timer = event_new(base, -1, EV_PERSIST, on_timer, auth);
    RB_INVARIANT(auth->timer != NULL);
    struct timeval tv = {.tv_usec = RELOAD_MS * 1000};
    event_add(auth->timer, &tv);
    load(auth);
    return auth;
}

void rb_auth_free(struct rb_auth *auth)
{
    if (!auth)
        return;
    RB_INVARIANT(!auth->loading && TAILQ_EMPTY(&auth->early) && TAILQ_EMPTY(&auth->late));
    event_free(auth->timer);
    free_entries(auth->entries, auth->n);
    free(auth);
}

enum rb_err rb_auth_check(struct rb_auth *auth, const struct rb_request *req, enum rb_auth_verdict *verdict,
                          struct rb_gateway *gateway, rb_auth_done_fn done, void *ctx)
{
    if (!shows_credential(req)) {
        *verdict = RB_AUTH_MISSING;
        return RB_OK;
    }
    const struct rb_gateway *found = match(auth, req);
    if (found) {
        *verdict = RB_AUTH_OK;
        *gateway = *found;
        return RB_OK;
    }
    if (!rb_db_is_up(auth->db)) {
        *verdict = RB_AUTH_AWAY;
        return RB_OK;
    }
    if (auth->loaded_at && rb_clock_mono() - auth->loaded_at < FRESH_US) {
        *verdict = RB_AUTH_WRONG;
        return RB_OK;
    }
    bool running = auth->loading;
    if (!load(auth)) {
        *verdict = RB_AUTH_AWAY;
        return RB_OK;
    }
    struct waiter *waiter = calloc(1, sizeof(*waiter));
    RB_INVARIANT(waiter != NULL);
    *waiter = (struct waiter){.req = req, .done = done, .ctx = ctx};
    TAILQ_INSERT_TAIL(running ? &auth->late : &auth->early, waiter, link);
    return RB_ERR_RETRY;
}
