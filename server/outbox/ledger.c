/*
 * Group commit of outcomes, see ledger.h. One statement at a time is under way; what comes meanwhile goes
 * with the next. Nobody waits for an outcome, so a few milliseconds are given to gather some.
 */
#include "server/outbox/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"

enum { BATCH_MOST = 512, BATCH_SOON = 128, GATHER_MS = 5, AGAIN_MS = 250, ERROR_SIZE = 96 };

#define COMMIT_US (5 * RB_SECOND)

extern const char rb_sql_finish_attempts[];
static const struct rb_statement finish_attempts = {"finish_attempts", rb_sql_finish_attempts};

struct entry {
    int branch;
    int target;
    int64_t follow_up;
    char id[RB_ID_SIZE];
    int64_t lease;
    const char *outcome;
    int status;
    char error[ERROR_SIZE]; /* empty: none */
    int64_t ms;
    int64_t pause_ms;
    int64_t rest_ms;
};

struct rb_ledger {
    struct rb_db *db;
    struct entry *entries; /* the first `flying` of them are being committed */
    size_t n;
    size_t size;
    size_t flying;
    bool stuck;
    size_t batch; /* most in the next commit: halved when one of them is at fault */
    struct event *kick;
    rb_ledger_pause_fn paused;
    void (*committed)(void *ctx);
    void *ctx;
    struct rb_metric *outcomes;
    struct rb_series *seconds;
};

static const char *const fates[] = {
    [RB_FATE_DELIVERED] = "delivered", [RB_FATE_RETRY] = "retry", [RB_FATE_REFUSED] = "refused",
    [RB_FATE_REJECTED] = "rejected",   [RB_FATE_GONE] = "gone",   [RB_FATE_CUT] = "cut"};

static struct rb_params *params_of(const struct entry *entries, size_t n)
{
    struct rb_params *params = rb_params_new();
    rb_param_array(params, RB_ARRAY_INT4);
    for (size_t i = 0; i < n; i++)
        rb_item_int(params, entries[i].branch);
    rb_param_array(params, RB_ARRAY_INT4);
    for (size_t i = 0; i < n; i++)
        rb_item_int(params, entries[i].target);
    rb_param_array(params, RB_ARRAY_INT8);
    for (size_t i = 0; i < n; i++)
        rb_item_int(params, entries[i].follow_up);
    rb_param_array(params, RB_ARRAY_TEXT);
    for (size_t i = 0; i < n; i++)
        rb_item_text(params, entries[i].id);
    rb_param_array(params, RB_ARRAY_INT8);
    for (size_t i = 0; i < n; i++)
        rb_item_int(params, entries[i].lease);
    rb_param_array(params, RB_ARRAY_TEXT);
    for (size_t i = 0; i < n; i++)
        rb_item_text(params, entries[i].outcome);
    rb_param_array(params, RB_ARRAY_INT4);
    for (size_t i = 0; i < n; i++) {
        if (entries[i].status)
            rb_item_int(params, entries[i].status);
        else
            rb_item_null(params);
    }
    rb_param_array(params, RB_ARRAY_TEXT);
    for (size_t i = 0; i < n; i++)
        rb_item_text(params, *entries[i].error ? entries[i].error : NULL);
    rb_param_array(params, RB_ARRAY_INT4);
    for (size_t i = 0; i < n; i++)
        rb_item_int(params, entries[i].ms);
    rb_param_array(params, RB_ARRAY_INT8);
    for (size_t i = 0; i < n; i++)
        rb_item_int(params, entries[i].pause_ms);
    rb_param_array(params, RB_ARRAY_INT8);
    for (size_t i = 0; i < n; i++)
        rb_item_int(params, entries[i].rest_ms);
    return params;
}

static void schedule(struct rb_ledger *ledger, int ms)
{
    struct timeval tv = {.tv_usec = ms * 1000};
    evtimer_add(ledger->kick, &tv);
}

/* Something new is there, or a commit has ended: the next one comes soon, at once when there is much to do.
 */
static void stir(struct rb_ledger *ledger)
{
    if (ledger->flying || !ledger->n)
        return;
    if (ledger->n >= BATCH_SOON)
        event_active(ledger->kick, EV_TIMEOUT, 0);
    else if (!evtimer_pending(ledger->kick, NULL))
        schedule(ledger, GATHER_MS);
}

static void drop(struct rb_ledger *ledger, size_t n)
{
    ledger->n -= n;
    memmove(ledger->entries, ledger->entries + n, ledger->n * sizeof(ledger->entries[0]));
}

static void read_result(struct rb_ledger *ledger, const struct rb_result *result)
{
    int what = rb_result_column(result, "what");
    int branch = rb_result_column(result, "branch_id");
    int target = rb_result_column(result, "target_id");
    int id = rb_result_column(result, "notification_id");
    for (int row = 0; row < rb_result_rows(result); row++) {
        const char *word = rb_result_text(result, row, what);
        int b = (int)rb_result_int(result, row, branch);
        int t = (int)rb_result_int(result, row, target);
        if (strcmp(word, "failed") == 0) {
            rb_count(rb_series(ledger->outcomes, "failed"), 1);
            rb_warning("outbox", "notification given up notification=%s", rb_result_text(result, row, id));
            continue;
        }
        rb_warning("outbox", "target %s branch=%d target=%d", word, b, t);
        ledger->paused(ledger->ctx, b, t);
    }
}

/* The database takes the batch as a whole or not at all: down to the one entry that it does not take, whose
 * notification is then sent again when its lease is over. */
static void narrow(struct rb_ledger *ledger)
{
    rb_error("outbox", "outcomes not recorded entries=%zu sqlstate=%s message=\"%s\"", ledger->flying,
             rb_db_sqlstate(ledger->db), rb_db_message(ledger->db));
    if (ledger->flying == 1)
        drop(ledger, 1);
    else
        ledger->batch = ledger->flying / 2;
}

static void on_committed(void *ctx, enum rb_err err, const struct rb_result *result)
{
    struct rb_ledger *ledger = ctx;
    size_t flying = ledger->flying;
    ledger->stuck = err != RB_OK;
    if (err == RB_OK) {
        read_result(ledger, result);
        drop(ledger, flying);
        ledger->batch = ledger->batch * 2 < BATCH_MOST ? ledger->batch * 2 : BATCH_MOST;
    } else if (err == RB_ERR_DATA || err == RB_ERR_INTERNAL) {
        narrow(ledger);
    } else {
        ledger->flying = 0;
        schedule(ledger, AGAIN_MS);
        return;
    }
    ledger->flying = 0;
    stir(ledger);
    ledger->committed(ledger->ctx);
}

static void on_kick(evutil_socket_t fd, short what, void *arg)
{
    struct rb_ledger *ledger = arg;
    (void)fd;
    (void)what;
    if (ledger->flying || !ledger->n)
        return;
    size_t n = ledger->n < ledger->batch ? ledger->n : ledger->batch;
    struct rb_db_step step = {.statement = &finish_attempts, .params = params_of(ledger->entries, n)};
    if (rb_db_submit(ledger->db, &step, 1, COMMIT_US, on_committed, ledger) == RB_OK)
        ledger->flying = n;
    else
        schedule(ledger, AGAIN_MS);
}

struct rb_ledger *rb_ledger_new(struct event_base *base, struct rb_db *db, rb_ledger_pause_fn paused,
                                void (*committed)(void *ctx), void *ctx)
{
    static const double bounds[] = {.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};
    struct rb_ledger *ledger = calloc(1, sizeof(*ledger));
    RB_INVARIANT(ledger != NULL);
    ledger->db = db;
    ledger->batch = BATCH_MOST;
    ledger->paused = paused;
    ledger->committed = committed;
    ledger->ctx = ctx;
    ledger->kick = evtimer_new(base, on_kick, ledger);
    RB_INVARIANT(ledger->kick != NULL);
    ledger->outcomes = rb_counter("ringback_notifications",
                                  "Attempts to deliver by outcome; failed: given up for good.", "outcome");
    for (size_t i = 0; i < sizeof(fates) / sizeof(fates[0]); i++)
        rb_series(ledger->outcomes, fates[i]);
    rb_series(ledger->outcomes, "failed");
    ledger->seconds = rb_series(rb_histogram("ringback_notification_attempt_seconds",
                                             "How long attempts took, connecting included.", NULL, bounds,
                                             sizeof(bounds) / sizeof(bounds[0])),
                                NULL);
    return ledger;
}

void rb_ledger_free(struct rb_ledger *ledger)
{
    if (!ledger)
        return;
    event_free(ledger->kick);
    free(ledger->entries);
    free(ledger);
}

static struct entry *append(struct rb_ledger *ledger, const struct rb_parcel *parcel, const char *outcome)
{
    if (ledger->n == ledger->size) {
        ledger->size = ledger->size ? ledger->size * 2 : BATCH_MOST;
        ledger->entries = realloc(ledger->entries, ledger->size * sizeof(ledger->entries[0]));
        RB_INVARIANT(ledger->entries != NULL);
    }
    struct entry *entry = &ledger->entries[ledger->n++];
    *entry = (struct entry){.branch = parcel->branch,
                            .target = parcel->target,
                            .follow_up = parcel->follow_up,
                            .lease = parcel->lease,
                            .outcome = outcome};
    memcpy(entry->id, parcel->id, RB_ID_SIZE);
    return entry;
}

/* Each notification of a message has its own outcome. */
void rb_ledger_note(struct rb_ledger *ledger, const struct rb_parcel *parcel,
                    const struct rb_verdict *verdict, int64_t took_us, int64_t pause_us)
{
    for (; parcel; parcel = parcel->next) {
        struct entry *entry = append(ledger, parcel, fates[verdict->fate]);
        entry->status = verdict->status;
        snprintf(entry->error, sizeof(entry->error), "%s", verdict->error ? verdict->error : "");
        entry->ms = took_us / 1000;
        entry->pause_ms = pause_us / 1000;
        entry->rest_ms = verdict->rest_us / 1000;
        rb_count(rb_series(ledger->outcomes, entry->outcome), 1);
    }
    rb_observe(ledger->seconds, (double)took_us / RB_SECOND);
    stir(ledger);
}

void rb_ledger_return(struct rb_ledger *ledger, const struct rb_parcel *parcel)
{
    for (; parcel; parcel = parcel->next)
        append(ledger, parcel, "returned");
    stir(ledger);
}

unsigned rb_ledger_open(const struct rb_ledger *ledger)
{
    return (unsigned)ledger->n;
}

bool rb_ledger_stuck(const struct rb_ledger *ledger)
{
    return ledger->stuck && ledger->n;
}
