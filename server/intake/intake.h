/*
 * The way of an event from a checked struct to a committed row: a bounded queue, batches over the free
 * connections (group commit), and one outcome for each event, told only after its commit. An event that comes
 * while the database is idle goes at once; under load all that waits goes together.
 *
 * Files: intake (queue, pairing of batches with connections, what becomes of a batch), batch (events to
 * parameters, rows to outcomes), event (checks of form).
 */
#ifndef RB_SERVER_INTAKE_INTAKE_H
#define RB_SERVER_INTAKE_INTAKE_H

#include <event2/event.h>

#include "server/db/db.h"
#include "server/intake/event.h"

struct rb_intake;

/* What became of an event. Texts are borrowed until the callback returns. */
struct rb_outcome {
    int status;         /* 200, 409, 422 or 503 */
    bool replayed;      /* 200: the first answer again */
    const char *answer; /* 200: the body */
    const char *code;   /* else: the problem's code, */
    const char *detail; /* what it says, */
    const char *errors; /* and a JSON array of faults in data, or NULL */
};
typedef void (*rb_outcome_fn)(void *ctx, const struct rb_outcome *outcome);

struct rb_intake_options {
    unsigned queue; /* most events waiting */
    unsigned batch; /* most events in a transaction */
    /* Called after a commit that may have made notifications or steps. */
    void (*stored)(void *ctx);
    void *stored_ctx;
};

/* db: the pool for writing, borrowed; the intake takes over its change callback. */
struct rb_intake *rb_intake_new(struct event_base *base, struct rb_db *db,
                                const struct rb_intake_options *options);
/* Every event must have had its outcome. */
void rb_intake_free(struct rb_intake *intake);

/*
 * Takes the event when RB_OK: done is called once from the loop, by deadline (monotonic µs) or a tenth of a
 * second later. RB_ERR_FULL: the queue is at its cap, RB_ERR_AWAY: no connection; the event stays the
 * caller's.
 */
enum rb_err rb_intake_submit(struct rb_intake *intake, int branch_id, int gateway_id, struct rb_event *event,
                             int64_t deadline, rb_outcome_fn done, void *ctx) RB_MUST_CHECK;

/* Events that have no outcome yet. */
unsigned rb_intake_waiting(const struct rb_intake *intake);

/* Counts an event that was refused before it came here ("invalid", "unauthorized", …) with the others. */
void rb_intake_count(const char *outcome);

#endif
