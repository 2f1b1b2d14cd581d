/*
 * The dispatcher: claims notifications when there may be some and there is room for them, sends what the
 * lanes say, notes outcomes. One claim at a time runs on one connection of the pool while outcomes are
 * committed on the other. See outbox.h.
 *
 * Promises: nothing is sent whose lease could end during the attempt; every parcel ends in the ledger, unless
 * the process ends first, and then its lease sees to it.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "server/outbox/lane.h"
#include "server/outbox/ledger.h"
#include "server/outbox/outbox.h"
#include "server/outbox/retry.h"
#include "server/outbox/secret.h"
#include "server/outbox/watch.h"

enum {
    CLAIM_MOST = 512,  /* notifications at a time */
    CLAIM_BELOW = 512, /* when so many or fewer are queued: there is work while the claim runs */
    OPEN_MOST = 2048,  /* outcomes not committed: beyond it nothing is claimed */
    LEASE_S = 60,
    POLL_MS = 500,
    DRAIN_CUT_S = 7, /* attempts that still run are cut off */
    DRAIN_END_S = 8  /* outcomes that still are not committed are left to their leases */
};

#define ATTEMPT_US (10 * RB_SECOND)
#define LEASE_SPARE_US (15 * RB_SECOND) /* an attempt, its commit, and some */
#define CLAIM_US (5 * RB_SECOND)

extern const char rb_sql_claim_notifications[];
static const struct rb_statement claim_notifications = {"claim_notifications", rb_sql_claim_notifications};

struct rb_outbox {
    struct rb_db *db;
    struct rb_transfers *transfers;
    struct rb_lanes *lanes;
    struct rb_ledger *ledger;
    struct rb_secrets *secrets;
    struct rb_watch *watch;
    const struct rb_relay *relay;
    unsigned mail_rate;
    struct event *pump; /* sends and claims, once a loop turn however often it is asked for */
    struct event *poll;
    struct event *drain;
    struct rb_series *flying;
    bool hungry; /* there may be something to claim */
    bool claiming;
    int64_t claimed_at;
    bool draining;
    int64_t draining_at;
    bool cut;
    void (*drained)(void *ctx);
    void *drained_ctx;
};

static void pump_soon(struct rb_outbox *outbox)
{
    event_active(outbox->pump, EV_TIMEOUT, 0);
}

/* --- sending --- */

static void end_parcel(struct rb_outbox *outbox, struct rb_parcel *parcel, const struct rb_verdict *verdict,
                       int64_t took_us)
{
    int64_t pause = 0;
    if (verdict->fate != RB_FATE_DELIVERED)
        pause = rb_retry_pause(parcel->attempt, verdict->rest_us, randombytes_random());
    rb_ledger_note(outbox->ledger, parcel, verdict, took_us, pause);
    if (verdict->fate == RB_FATE_DELIVERED)
        rb_debug("outbox", "delivered notification=%s branch=%d target=%d attempt=%u status=%d", parcel->id,
                 parcel->branch, parcel->target, parcel->attempt, verdict->status);
    else
        rb_info("outbox",
                "attempt failed notification=%s branch=%d follow_up=%lld target=%d attempt=%u status=%d "
                "error=\"%s\"",
                parcel->id, parcel->branch, (long long)parcel->follow_up, parcel->target, parcel->attempt,
                verdict->status, verdict->error ? verdict->error : "");
    rb_lanes_landed(outbox->lanes, parcel);
    rb_parcel_free(parcel);
    rb_set(outbox->flying, rb_lanes_flying(outbox->lanes));
}

static void on_answer(void *ctx, const struct rb_answer *answer)
{
    struct rb_parcel *parcel = ctx;
    struct rb_outbox *outbox = parcel->owner;
    struct rb_verdict verdict;
    parcel->channel->judge(answer, &verdict);
    if (outbox->cut)
        verdict.fate = RB_FATE_CUT;
    end_parcel(outbox, parcel, &verdict, answer->took_us);
    pump_soon(outbox);
}

/* The parcel's notifications as a list of messages, in room for RB_DIGEST_MOST. */
static void fill_messages(const struct rb_outbox *outbox, const struct rb_parcel *parcel,
                          struct rb_message *messages)
{
    for (unsigned n = 0; parcel; parcel = parcel->next, n++) {
        RB_INVARIANT(n < RB_DIGEST_MOST);
        messages[n] = (struct rb_message){.id = parcel->id,
                                          .address = parcel->address,
                                          .secret = parcel->secret,
                                          .body = parcel->body,
                                          .body_len = parcel->body_len,
                                          .due = parcel->due,
                                          .relay = outbox->relay,
                                          .next = parcel->next ? &messages[n + 1] : NULL};
    }
}

/* NULL: on its way; else why it is not. */
static const char *begin_call(struct rb_outbox *outbox, struct rb_parcel *parcel)
{
    struct rb_message messages[RB_DIGEST_MOST];
    struct rb_call call = {0};
    if (!parcel->channel)
        return "this daemon does not know the channel";
    if (parcel->locked)
        return "the target's secret cannot be opened";
    fill_messages(outbox, parcel, messages);
    if (parcel->channel->compose(&messages[0], rb_clock_wall(), &call, &parcel->made) != RB_OK)
        return parcel->channel == &rb_channel_email && !*outbox->relay->url ? "smtp_relay is not set"
                                                                            : "the request cannot be made";
    if (rb_transfers_start(outbox->transfers, &call, on_answer, parcel) != RB_OK)
        return "the call cannot be made";
    return NULL;
}

static void send_parcel(struct rb_outbox *outbox, struct rb_parcel *parcel)
{
    struct rb_verdict failed = {.fate = RB_FATE_RETRY, .error = begin_call(outbox, parcel)};
    if (failed.error)
        end_parcel(outbox, parcel, &failed, 0);
}

static void hand_back(struct rb_outbox *outbox, struct rb_parcel *parcel)
{
    rb_ledger_return(outbox->ledger, parcel);
    rb_parcel_free(parcel);
}

static void send_all(struct rb_outbox *outbox)
{
    struct rb_parcel *parcel;
    int64_t now = rb_clock_mono();
    while ((parcel = rb_lanes_next(outbox->lanes))) {
        if (parcel->lease_ends - now < LEASE_SPARE_US) {
            rb_lanes_landed(outbox->lanes, parcel);
            hand_back(outbox, parcel);
        } else {
            send_parcel(outbox, parcel);
        }
    }
    rb_set(outbox->flying, rb_lanes_flying(outbox->lanes));
}

/* --- claiming --- */

struct columns {
    int id, branch, follow_up, target, lease, attempt, channel, address, secret, body, message, due;
};

static struct columns columns_of(const struct rb_result *result)
{
    return (struct columns){.id = rb_result_column(result, "notification_id"),
                            .branch = rb_result_column(result, "branch_id"),
                            .follow_up = rb_result_column(result, "follow_up_id"),
                            .target = rb_result_column(result, "target_id"),
                            .lease = rb_result_column(result, "lease"),
                            .attempt = rb_result_column(result, "attempt"),
                            .channel = rb_result_column(result, "channel"),
                            .address = rb_result_column(result, "address"),
                            .secret = rb_result_column(result, "sealed_secret"),
                            .body = rb_result_column(result, "body"),
                            .message = rb_result_column(result, "message"),
                            .due = rb_result_column(result, "due")};
}

static struct rb_parcel *parcel_of(struct rb_outbox *outbox, const struct rb_result *result, int row,
                                   const struct columns *columns)
{
    int branch = (int)rb_result_int(result, row, columns->branch);
    int target = (int)rb_result_int(result, row, columns->target);
    const char *secret = rb_secrets_find(outbox->secrets, branch, target, result, row, columns->secret);
    struct rb_parcel *parcel =
        rb_parcel_new(rb_result_text(result, row, columns->address), secret,
                      rb_result_text(result, row, columns->body), rb_result_text(result, row, columns->due));
    parcel->owner = outbox;
    parcel->branch = branch;
    parcel->target = target;
    parcel->locked = !secret;
    parcel->follow_up = rb_result_int(result, row, columns->follow_up);
    parcel->lease = rb_result_int(result, row, columns->lease);
    parcel->attempt = (unsigned)rb_result_int(result, row, columns->attempt);
    parcel->lease_ends = outbox->claimed_at + LEASE_S * RB_SECOND;
    snprintf(parcel->id, sizeof(parcel->id), "%s", rb_result_text(result, row, columns->id));
    parcel->channel = rb_channel_find(rb_result_text(result, row, columns->channel));
    return parcel;
}

/* Rows of one message follow each other: the first takes the others along. */
static void take_rows(struct rb_outbox *outbox, const struct rb_result *result)
{
    struct columns columns = columns_of(result);
    int rows = rb_result_rows(result);
    for (int row = 0; row < rows;) {
        struct rb_parcel *first = parcel_of(outbox, result, row, &columns), *last = first;
        int64_t message = rb_result_int(result, row, columns.message);
        while (++row < rows && message && rb_result_int(result, row, columns.message) == message)
            last = last->next = parcel_of(outbox, result, row, &columns);
        rb_lanes_add(outbox->lanes, first);
    }
}

static void on_claimed(void *ctx, enum rb_err err, const struct rb_result *result)
{
    struct rb_outbox *outbox = ctx;
    outbox->claiming = false;
    if (err != RB_OK) {
        if (err != RB_ERR_AWAY)
            rb_warning("outbox", "claim failed error=%s sqlstate=%s message=\"%s\"", rb_err_name(err),
                       rb_db_sqlstate(outbox->db), rb_db_message(outbox->db));
        return; /* the poll tries again */
    }
    take_rows(outbox, result);
    if (rb_result_rows(result))
        outbox->hungry = true;
    pump_soon(outbox);
}

struct busy {
    struct rb_params *params;
    int column;
};

static void add_busy(void *ctx, int branch, int target, unsigned room)
{
    struct busy *busy = ctx;
    rb_item_int(busy->params, busy->column == 0 ? branch : busy->column == 1 ? target : (int64_t)room);
}

static void claim(struct rb_outbox *outbox)
{
    struct rb_params *params = rb_params_new();
    struct rb_db_step step = {.statement = &claim_notifications, .params = params};
    rb_param_int(params, CLAIM_MOST);
    rb_param_int(params, LEASE_S);
    for (struct busy busy = {.params = params}; busy.column < 3; busy.column++) {
        rb_param_array(params, RB_ARRAY_INT4);
        rb_lanes_busy(outbox->lanes, add_busy, &busy);
    }
    rb_param_int(params, outbox->mail_rate);
    outbox->hungry = false;
    outbox->claimed_at = rb_clock_mono();
    outbox->claiming = rb_db_submit(outbox->db, &step, 1, CLAIM_US, on_claimed, outbox) == RB_OK;
}

/* While the database is away nothing new is sent: its outcome could not be kept. */
static void on_pump(evutil_socket_t fd, short what, void *arg)
{
    struct rb_outbox *outbox = arg;
    (void)fd;
    (void)what;
    if (outbox->draining || !rb_db_is_up(outbox->db))
        return;
    send_all(outbox);
    if (outbox->hungry && !outbox->claiming && rb_lanes_queued(outbox->lanes) <= CLAIM_BELOW &&
        rb_ledger_open(outbox->ledger) < OPEN_MOST && !rb_ledger_stuck(outbox->ledger))
        claim(outbox);
}

static void on_poll(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    rb_outbox_wake(arg);
}

/* --- what the ledger tells --- */

/* The breaker has opened, or the target is gone: what is queued for it waits in the database, not here. */
static void on_target_paused(void *ctx, int branch, int target)
{
    struct rb_outbox *outbox = ctx;
    struct rb_parcel *parcel;
    while ((parcel = rb_lanes_withdraw(outbox->lanes, branch, target)))
        hand_back(outbox, parcel);
}

static void end_drain(struct rb_outbox *outbox)
{
    void (*drained)(void *ctx) = outbox->drained;
    outbox->drained = NULL;
    event_del(outbox->drain);
    if (drained)
        drained(outbox->drained_ctx);
}

static bool is_drained(const struct rb_outbox *outbox)
{
    return !outbox->claiming && !rb_lanes_flying(outbox->lanes) && !rb_ledger_open(outbox->ledger);
}

static void on_committed(void *ctx)
{
    struct rb_outbox *outbox = ctx;
    outbox->hungry = true; /* targets have room again */
    pump_soon(outbox);
}

/* --- drain --- */

static void empty_lanes(struct rb_outbox *outbox)
{
    struct rb_parcel *parcel;
    while ((parcel = rb_lanes_withdraw(outbox->lanes, 0, 0)))
        hand_back(outbox, parcel);
}

/* Looks ten times a second: what is still claimed goes back, what takes too long is cut off. */
static void on_drain(evutil_socket_t fd, short what, void *arg)
{
    struct rb_outbox *outbox = arg;
    int64_t since = rb_clock_mono() - outbox->draining_at;
    (void)fd;
    (void)what;
    empty_lanes(outbox);
    if (since > DRAIN_CUT_S * RB_SECOND && !outbox->cut) {
        outbox->cut = true;
        rb_transfers_stop(outbox->transfers);
    }
    if (!is_drained(outbox) && since < DRAIN_END_S * RB_SECOND)
        return;
    if (rb_ledger_open(outbox->ledger))
        rb_warning("outbox", "outcomes not committed, left to their leases entries=%u",
                   rb_ledger_open(outbox->ledger));
    end_drain(outbox);
}

void rb_outbox_drain(struct rb_outbox *outbox, void (*drained)(void *ctx), void *ctx)
{
    struct timeval often = {.tv_usec = 100000};
    RB_INVARIANT(!outbox->draining);
    outbox->draining = true;
    outbox->drained = drained;
    outbox->drained_ctx = ctx;
    outbox->draining_at = rb_clock_mono();
    event_del(outbox->poll);
    event_add(outbox->drain, &often);
    event_active(outbox->drain, EV_TIMEOUT, 0);
}

/* --- made and ended --- */

struct rb_outbox *rb_outbox_new(struct event_base *base, struct rb_db *db,
                                const struct rb_outbox_options *options)
{
    struct timeval poll = {.tv_usec = POLL_MS * 1000};
    struct rb_outbox *outbox = calloc(1, sizeof(*outbox));
    RB_INVARIANT(outbox != NULL);
    outbox->db = db;
    outbox->relay = options->relay;
    outbox->mail_rate = options->mail_rate;
    outbox->transfers = rb_transfers_new(base, options->connections, options->allowed, ATTEMPT_US);
    outbox->lanes = rb_lanes_new(options->connections);
    outbox->ledger = rb_ledger_new(base, db, on_target_paused, on_committed, outbox);
    outbox->secrets = rb_secrets_new(options->seal);
    outbox->watch = rb_watch_new(base, db, on_committed, outbox);
    outbox->flying =
        rb_series(rb_gauge("ringback_outbox_in_flight", "Attempts to deliver that run.", NULL), NULL);
    outbox->pump = event_new(base, -1, 0, on_pump, outbox);
    outbox->poll = event_new(base, -1, EV_PERSIST, on_poll, outbox);
    outbox->drain = event_new(base, -1, EV_PERSIST, on_drain, outbox);
    RB_INVARIANT(outbox->pump && outbox->poll && outbox->drain && event_add(outbox->poll, &poll) == 0);
    return outbox;
}

void rb_outbox_wake(struct rb_outbox *outbox)
{
    outbox->hungry = true;
    pump_soon(outbox);
}

void rb_outbox_free(struct rb_outbox *outbox)
{
    if (!outbox)
        return;
    outbox->draining = true;
    rb_transfers_free(outbox->transfers);
    rb_lanes_free(outbox->lanes);
    rb_ledger_free(outbox->ledger);
    rb_secrets_free(outbox->secrets);
    rb_watch_free(outbox->watch);
    event_free(outbox->pump);
    event_free(outbox->poll);
    event_free(outbox->drain);
    free(outbox);
}
