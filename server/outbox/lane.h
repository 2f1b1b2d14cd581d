/*
 * What the daemon holds: parcels (claimed notifications, or several that are one message), one lane for each
 * target, and whose turn it is. Lanes take turns; one may have at most 32 parcels in the air and never more
 * than there are free slots, so that targets that hang can never take the last slots from the others. Decides
 * only; never sends.
 */
#ifndef RB_SERVER_OUTBOX_LANE_H
#define RB_SERVER_OUTBOX_LANE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "server/channel/channel.h"

struct rb_lanes;
struct rb_lane;

#define RB_ID_SIZE 37 /* a UUID's text */

struct rb_parcel {
    STAILQ_ENTRY(rb_parcel) link;
    struct rb_lane *lane;
    void *owner; /* for the answer's callback */
    int branch;
    int target;
    int64_t follow_up;
    char id[RB_ID_SIZE];
    int64_t lease;
    int64_t lease_ends; /* monotonic */
    unsigned attempt;   /* from 1 */
    const struct rb_channel *channel;
    struct rb_parcel *next; /* of the same message, which is sent as one; owned */
    bool locked;            /* its secret could not be opened */
    char *made;             /* what the channel made for the call */
    const char *address;
    const char *secret; /* opened; empty: it has none */
    const char *body;
    size_t body_len;
    const char *due; /* NULL: it does not matter */
    char texts[];    /* address, secret, body, due */
};

/* Copies the texts (secret and due may be NULL); the caller fills the rest and gives it to a lane. */
struct rb_parcel *rb_parcel_new(const char *address, const char *secret, const char *body, const char *due);
/* With those of the same message. */
void rb_parcel_free(struct rb_parcel *parcel);

/* slots: most parcels in the air. */
struct rb_lanes *rb_lanes_new(unsigned slots);
void rb_lanes_free(struct rb_lanes *lanes); /* with all parcels that are queued; none may be in the air */

/* Queues a parcel (taken) in its target's lane. */
void rb_lanes_add(struct rb_lanes *lanes, struct rb_parcel *parcel);
/* The parcel to be sent next, now in the air; NULL: none, or none for which there is a slot. */
struct rb_parcel *rb_lanes_next(struct rb_lanes *lanes);
/* It is in the air no more; the caller owns it. */
void rb_lanes_landed(struct rb_lanes *lanes, struct rb_parcel *parcel);
/* Takes a queued parcel out again, of one target or (branch 0) of any; the caller owns it. NULL: none left.
 */
struct rb_parcel *rb_lanes_withdraw(struct rb_lanes *lanes, int branch, int target);

unsigned rb_lanes_queued(const struct rb_lanes *lanes);
unsigned rb_lanes_flying(const struct rb_lanes *lanes);

/* Calls fn for each target with queued parcels; room: how many more of its the daemon would take, 0 or more.
 */
void rb_lanes_busy(const struct rb_lanes *lanes, void (*fn)(void *ctx, int branch, int target, unsigned room),
                   void *ctx);

#endif
