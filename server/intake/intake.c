/*
 * Queue and batches. Invariants: an item is in the queue or in one batch, never both; no key (branch, source,
 * id) is in two batches at once, so a repetition always meets the committed first; each item is told its
 * outcome once, from the loop.
 */
#include "server/intake/intake.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "server/intake/batch.h"

enum { EXPIRE_MS = 100, BUCKETS = 1024, LOOK_PAST = 512, TRIES_WHOLE = 3 };

TAILQ_HEAD(items, rb_item);
LIST_HEAD(bucket, rb_item);

/* Events in one transaction; a batch that the database refused is cut in two, each half a batch of its own.
 */
struct batch {
    TAILQ_ENTRY(batch) link;
    struct rb_intake *intake;
    int64_t sent;
    unsigned tries; /* that ended with "run it again" */
    size_t n;
    struct rb_item *items[];
};
TAILQ_HEAD(batches, batch);

struct rb_intake {
    struct rb_db *db;
    struct rb_intake_options options;
    struct items queue;
    unsigned queued;
    struct batches again; /* batches to be sent (anew), before the queue */
    unsigned flying;      /* events in batches */
    struct event *kick;   /* sends what this loop turn brought, at its end */
    struct event *expire;
    struct bucket keys[BUCKETS]; /* items in batches */
};

static struct {
    struct rb_metric *events;
    struct rb_series *latency, *size, *depth, *commit;
    struct rb_series *accepted, *replayed, *conflict, *refused, *unavailable;
} metrics;

static void make_metrics(void)
{
    static const double seconds[] = {.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5};
    static const double sizes[] = {1, 2, 4, 8, 16, 32, 64, 128, 256};
    size_t n = sizeof(seconds) / sizeof(seconds[0]);
    if (metrics.events)
        return;
    metrics.events = rb_counter("ringback_intake_events", "Events by outcome.", "outcome");
    metrics.accepted = rb_series(metrics.events, "accepted");
    metrics.replayed = rb_series(metrics.events, "replayed");
    metrics.conflict = rb_series(metrics.events, "conflict");
    metrics.refused = rb_series(metrics.events, "refused");
    metrics.unavailable = rb_series(metrics.events, "unavailable");
    metrics.latency =
        rb_series(rb_histogram("ringback_intake_latency_seconds",
                               "From an event's arrival in the queue to its outcome.", NULL, seconds, n),
                  NULL);
    metrics.commit = rb_series(rb_histogram("ringback_intake_commit_seconds",
                                            "From sending a batch to its commit.", NULL, seconds, n),
                               NULL);
    metrics.size = rb_series(rb_histogram("ringback_intake_batch_size", "Events in a committed batch.", NULL,
                                          sizes, sizeof(sizes) / sizeof(sizes[0])),
                             NULL);
    metrics.depth =
        rb_series(rb_gauge("ringback_intake_queue_depth", "Events without an outcome yet.", NULL), NULL);
}

void rb_intake_count(const char *outcome)
{
    make_metrics();
    rb_count(rb_series(metrics.events, outcome), 1);
}

static uint64_t mix(uint64_t hash, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3); /* FNV-1a */
    return hash;
}

static uint64_t key_of(int branch_id, const struct rb_event *event)
{
    uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), &branch_id, sizeof(branch_id));
    hash = mix(hash, event->source, strlen(event->source) + 1);
    return mix(hash, event->id, strlen(event->id));
}

/* Two keys that only share their hash wait for each other too: rare, and harmless. */
static bool under_way(struct rb_intake *intake, uint64_t key)
{
    struct rb_item *item;
    LIST_FOREACH(item, &intake->keys[key % BUCKETS], keyed)
    if (item->key == key)
        return true;
    return false;
}

static void end_item(struct rb_item *item, const struct rb_outcome *outcome)
{
    struct rb_series *series = outcome->status == 200
                                   ? outcome->replayed ? metrics.replayed : metrics.accepted
                               : outcome->status == 409 ? metrics.conflict
                               : outcome->status == 503 ? metrics.unavailable
                                                        : metrics.refused;
    rb_count(series, 1);
    rb_observe(metrics.latency, (double)(rb_clock_mono() - item->started) / RB_SECOND);
    item->done(item->ctx, outcome);
    rb_event_free(item->event);
    free(item);
}

static void end_unavailable(struct rb_item *item, const char *detail)
{
    struct rb_outcome outcome = {.status = 503, .code = "unavailable", .detail = detail};
    end_item(item, &outcome);
}

static void land(struct rb_intake *intake, struct rb_item *item)
{
    LIST_REMOVE(item, keyed);
    intake->flying--;
}

static void set_depth(const struct rb_intake *intake)
{
    rb_set(metrics.depth, intake->queued + intake->flying);
}

static void drop_batch(struct batch *batch, const char *detail)
{
    for (size_t i = 0; i < batch->n; i++) {
        land(batch->intake, batch->items[i]);
        end_unavailable(batch->items[i], detail);
    }
    free(batch);
}

static struct batch *new_batch(struct rb_intake *intake, struct rb_item *const *items, size_t n)
{
    struct batch *batch = malloc(sizeof(*batch) + n * sizeof(struct rb_item *));
    RB_INVARIANT(batch != NULL);
    batch->intake = intake;
    batch->tries = 0;
    batch->n = n;
    memcpy(batch->items, items, n * sizeof(*items));
    return batch;
}

/* Takes from the queue what may go together: no key twice, none that is under way. */
static struct batch *gather(struct rb_intake *intake)
{
    struct rb_item *chosen[256];
    size_t n = 0;
    unsigned looked = 0;
    struct rb_item *next;
    for (struct rb_item *item = TAILQ_FIRST(&intake->queue);
         item && n < intake->options.batch && looked < LOOK_PAST; item = next, looked++) {
        next = TAILQ_NEXT(item, link);
        if (under_way(intake, item->key))
            continue;
        TAILQ_REMOVE(&intake->queue, item, link);
        intake->queued--;
        intake->flying++;
        LIST_INSERT_HEAD(&intake->keys[item->key % BUCKETS], item, keyed);
        chosen[n++] = item;
    }
    return n ? new_batch(intake, chosen, n) : NULL;
}

/* The outcome of one event that the database refuses by itself. */
static void refuse_alone(struct batch *batch, enum rb_err err)
{
    struct rb_intake *intake = batch->intake;
    rb_error("intake", "an event cannot be stored sqlstate=%s message=\"%s\"", rb_db_sqlstate(intake->db),
             rb_db_message(intake->db));
    if (err != RB_ERR_DATA) {
        drop_batch(batch, "the database cannot store this event now");
        return;
    }
    struct rb_outcome outcome = {
        .status = 422, .code = "invalid-data", .detail = "the database refuses what this event says"};
    land(intake, batch->items[0]);
    end_item(batch->items[0], &outcome);
    free(batch);
}

static void split(struct batch *batch)
{
    size_t half = batch->n / 2;
    struct rb_intake *intake = batch->intake;
    struct batch *second = new_batch(intake, batch->items + half, batch->n - half);
    batch->n = half;
    batch->tries = 0;
    TAILQ_INSERT_HEAD(&intake->again, second, link);
    TAILQ_INSERT_HEAD(&intake->again, batch, link);
}

/* A third time in a row is hardly bad luck but the fault of one event, for which the others must not wait. */
static void run_again(struct batch *batch)
{
    if (++batch->tries >= TRIES_WHOLE && batch->n > 1)
        split(batch);
    else
        TAILQ_INSERT_HEAD(&batch->intake->again, batch, link);
}

static void tell_outcomes(struct batch *batch, const struct rb_result *result)
{
    struct rb_intake *intake = batch->intake;
    bool stored = false;
    RB_INVARIANT(rb_result_rows(result) == (int)batch->n);
    rb_observe(metrics.commit, (double)(rb_clock_mono() - batch->sent) / RB_SECOND);
    rb_observe(metrics.size, (double)batch->n);
    for (int row = 0; row < (int)batch->n; row++) {
        struct rb_outcome outcome;
        size_t i = rb_batch_outcome(result, row, &outcome);
        RB_INVARIANT(i < batch->n && batch->items[i]);
        stored |= outcome.status == 200 && batch->items[i]->event->kind == RB_EVENT_COMPLAINT;
        land(intake, batch->items[i]);
        end_item(batch->items[i], &outcome);
        batch->items[i] = NULL;
    }
    free(batch);
    if (stored && intake->options.stored)
        intake->options.stored(intake->options.stored_ctx);
}

static void on_batch_done(void *ctx, enum rb_err err, const struct rb_result *result)
{
    struct batch *batch = ctx;
    struct rb_intake *intake = batch->intake;
    switch (err) {
    case RB_OK:
        tell_outcomes(batch, result);
        break;
    case RB_ERR_RETRY:
        run_again(batch);
        break;
    case RB_ERR_AWAY:
    case RB_ERR_TIMEOUT:
        drop_batch(batch, "the database is away: send the same again");
        break;
    case RB_ERR_UNKNOWN:
        drop_batch(batch, "whether it was stored is not known: send the same again");
        break;
    default:
        if (batch->n == 1)
            refuse_alone(batch, err);
        else
            split(batch);
    }
    set_depth(intake);
    event_active(intake->kick, EV_TIMEOUT, 0);
}

static int64_t time_left(const struct batch *batch)
{
    int64_t first = batch->items[0]->deadline;
    for (size_t i = 1; i < batch->n; i++)
        if (batch->items[i]->deadline < first)
            first = batch->items[i]->deadline;
    return first - rb_clock_mono();
}

static void send_batch(struct batch *batch)
{
    struct rb_intake *intake = batch->intake;
    struct rb_db_step step = {.statement = &rb_take_events,
                              .params = rb_batch_params(batch->items, batch->n)};
    batch->sent = rb_clock_mono();
    if (rb_db_submit(intake->db, &step, 1, time_left(batch), on_batch_done, batch) != RB_OK)
        drop_batch(batch, "too busy: send the same again");
}

static void on_kick(evutil_socket_t fd, short what, void *arg)
{
    struct rb_intake *intake = arg;
    (void)fd;
    (void)what;
    for (unsigned idle = rb_db_idle(intake->db); idle; idle--) {
        struct batch *batch = TAILQ_FIRST(&intake->again);
        if (batch)
            TAILQ_REMOVE(&intake->again, batch, link);
        else
            batch = gather(intake);
        if (!batch)
            break;
        send_batch(batch);
    }
    set_depth(intake);
}

static void on_db_change(void *ctx)
{
    struct rb_intake *intake = ctx;
    event_active(intake->kick, EV_TIMEOUT, 0);
}

static void on_expire(evutil_socket_t fd, short what, void *arg)
{
    struct rb_intake *intake = arg;
    int64_t now = rb_clock_mono();
    struct rb_item *item;
    struct rb_item *next_item;
    struct batch *batch;
    struct batch *next;
    (void)fd;
    (void)what;
    for (item = TAILQ_FIRST(&intake->queue); item; item = next_item) {
        next_item = TAILQ_NEXT(item, link);
        if (item->deadline > now)
            continue;
        TAILQ_REMOVE(&intake->queue, item, link);
        intake->queued--;
        end_unavailable(item, "too busy: send the same again");
    }
    for (batch = TAILQ_FIRST(&intake->again); batch; batch = next) {
        next = TAILQ_NEXT(batch, link);
        if (time_left(batch) > 0)
            continue;
        TAILQ_REMOVE(&intake->again, batch, link);
        drop_batch(batch, "the database is away: send the same again");
    }
    set_depth(intake);
}

struct rb_intake *rb_intake_new(struct event_base *base, struct rb_db *db,
                                const struct rb_intake_options *options)
{
    struct rb_intake *intake = calloc(1, sizeof(*intake));
    RB_INVARIANT(intake != NULL && options->batch <= 256);
    make_metrics();
    intake->db = db;
    intake->options = *options;
    TAILQ_INIT(&intake->queue);
    TAILQ_INIT(&intake->again);
    intake->kick = event_new(base, -1, 0, on_kick, intake);
    intake->expire = event_new(base, -1, EV_PERSIST, on_expire, intake);
    RB_INVARIANT(intake->kick && intake->expire);
    struct timeval tv = {.tv_usec = EXPIRE_MS * 1000};
    event_add(intake->expire, &tv);
    rb_db_on_change(db, on_db_change, intake);
    return intake;
}

void rb_intake_free(struct rb_intake *intake)
{
    if (!intake)
        return;
    RB_INVARIANT(!intake->queued && !intake->flying);
    event_free(intake->kick);
    event_free(intake->expire);
    free(intake);
}

enum rb_err rb_intake_submit(struct rb_intake *intake, int branch_id, int gateway_id, struct rb_event *event,
                             int64_t deadline, rb_outcome_fn done, void *ctx)
{
    if (!rb_db_is_up(intake->db))
        return RB_ERR_AWAY;
    if (intake->queued + intake->flying >= intake->options.queue)
        return RB_ERR_FULL;
    struct rb_item *item = malloc(sizeof(*item));
    RB_INVARIANT(item != NULL);
    *item = (struct rb_item){.key = key_of(branch_id, event),
                             .branch_id = branch_id,
                             .gateway_id = gateway_id,
                             .event = event,
                             .started = rb_clock_mono(),
                             .deadline = deadline,
                             .done = done,
                             .ctx = ctx};
    TAILQ_INSERT_TAIL(&intake->queue, item, link);
    intake->queued++;
    event_active(intake->kick, EV_TIMEOUT, 0);
    return RB_OK;
}

unsigned rb_intake_waiting(const struct rb_intake *intake)
{
    return intake->queued + intake->flying;
}
