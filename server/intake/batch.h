/*
 * One batch: some events on their way through the one write function (schema/functions/45-take-events.sql).
 * Translates; decides nothing.
 */
#ifndef RB_SERVER_INTAKE_BATCH_H
#define RB_SERVER_INTAKE_BATCH_H

#include <sys/queue.h>

#include "server/intake/intake.h"

/* An event that waits for its outcome. */
struct rb_item {
    TAILQ_ENTRY(rb_item) link; /* in the queue */
    LIST_ENTRY(rb_item) keyed; /* among those under way, by key */
    uint64_t key;              /* of branch, source and id */
    int branch_id;
    int gateway_id;
    struct rb_event *event;
    int64_t started;  /* monotonic */
    int64_t deadline; /* monotonic */
    rb_outcome_fn done;
    void *ctx;
};

extern const struct rb_statement rb_take_events;

/* The parameters of take_events for n events, in its order. */
struct rb_params *rb_batch_params(struct rb_item *const *items, size_t n);

/* Reads row by row: the index of the item (0 up) and its outcome, whose texts are the result's. */
size_t rb_batch_outcome(const struct rb_result *result, int row, struct rb_outcome *outcome);

#endif
