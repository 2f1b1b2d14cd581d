/*
 * Lanes and their turns, see lane.h. A lane lives while it has a parcel, queued or in the air; those with
 * queued parcels stand in a ring.
 */
#include "server/outbox/lane.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 512, LANE_MOST = 32 };

STAILQ_HEAD(parcels, rb_parcel);

struct rb_lane {
    LIST_ENTRY(rb_lane) same; /* in its bucket, or unused */
    TAILQ_ENTRY(rb_lane) turn;
    int branch;
    int target;
    struct parcels queue;
    unsigned queued;
    unsigned flying;
};

struct rb_lanes {
    LIST_HEAD(bucket, rb_lane) buckets[BUCKETS];
    struct bucket unused;
    TAILQ_HEAD(ring, rb_lane) ring; /* lanes with something queued, whose turn it is first */
    unsigned slots;
    unsigned queued;
    unsigned flying;
};

static struct bucket *bucket_of(struct rb_lanes *lanes, int branch, int target)
{
    uint64_t hash = ((uint64_t)branch << 32 ^ (uint64_t)target) * UINT64_C(0x9e3779b97f4a7c15);
    return &lanes->buckets[hash >> 55];
}

static struct rb_lane *find(struct rb_lanes *lanes, int branch, int target)
{
    struct rb_lane *lane;
    LIST_FOREACH(lane, bucket_of(lanes, branch, target), same)
    if (lane->branch == branch && lane->target == target)
        return lane;
    return NULL;
}

static struct rb_lane *lane_new(struct rb_lanes *lanes, int branch, int target)
{
    struct rb_lane *lane = LIST_FIRST(&lanes->unused);
    if (lane)
        LIST_REMOVE(lane, same);
    else
        lane = calloc(1, sizeof(*lane));
    RB_INVARIANT(lane != NULL);
    lane->branch = branch;
    lane->target = target;
    STAILQ_INIT(&lane->queue);
    LIST_INSERT_HEAD(bucket_of(lanes, branch, target), lane, same);
    return lane;
}

/* Empty lanes are kept for the next target. */
static void retire(struct rb_lanes *lanes, struct rb_lane *lane)
{
    LIST_REMOVE(lane, same);
    LIST_INSERT_HEAD(&lanes->unused, lane, same);
}

/* The first of a lane's queue out of it; the ring holds lanes with queues only. */
static struct rb_parcel *unqueue(struct rb_lanes *lanes, struct rb_lane *lane)
{
    struct rb_parcel *parcel = STAILQ_FIRST(&lane->queue);
    STAILQ_REMOVE_HEAD(&lane->queue, link);
    lanes->queued--;
    if (--lane->queued == 0) {
        TAILQ_REMOVE(&lanes->ring, lane, turn);
        if (lane->flying == 0)
            retire(lanes, lane);
    }
    return parcel;
}

static bool may_fly(const struct rb_lanes *lanes, const struct rb_lane *lane)
{
    unsigned unused = lanes->slots - lanes->flying;
    return lane->flying < LANE_MOST && lane->flying < unused;
}

/* Copies text to *at, and moves that on. */
static const char *put(char **at, const char *text, size_t size)
{
    const char *here = memcpy(*at, text, size);
    *at += size;
    return here;
}

struct rb_parcel *rb_parcel_new(const char *address, const char *secret, const char *body, const char *due)
{
    size_t address_size = strlen(address) + 1;
    size_t secret_size = secret ? strlen(secret) + 1 : 1;
    size_t body_size = strlen(body) + 1;
    size_t due_size = due ? strlen(due) + 1 : 0;
    size_t size = address_size + secret_size + body_size + due_size;
    struct rb_parcel *parcel = calloc(1, sizeof(*parcel) + size);
    RB_INVARIANT(parcel != NULL);
    char *at = parcel->texts;
    parcel->address = put(&at, address, address_size);
    parcel->secret = put(&at, secret ? secret : "", secret_size);
    parcel->body = put(&at, body, body_size);
    parcel->body_len = body_size - 1;
    if (due)
        parcel->due = put(&at, due, due_size);
    return parcel;
}

void rb_parcel_free(struct rb_parcel *parcel)
{
    while (parcel) {
        struct rb_parcel *next = parcel->next;
        sodium_memzero((char *)parcel->secret, strlen(parcel->secret));
        free(parcel->made);
        free(parcel);
        parcel = next;
    }
}

struct rb_lanes *rb_lanes_new(unsigned slots)
{
    struct rb_lanes *lanes = calloc(1, sizeof(*lanes));
    RB_INVARIANT(lanes != NULL);
    TAILQ_INIT(&lanes->ring);
    lanes->slots = slots;
    return lanes;
}

void rb_lanes_free(struct rb_lanes *lanes)
{
    struct rb_parcel *parcel;
    if (!lanes)
        return;
    RB_INVARIANT(lanes->flying == 0);
    while ((parcel = rb_lanes_withdraw(lanes, 0, 0)))
        rb_parcel_free(parcel);
    struct rb_lane *next;
    for (struct rb_lane *lane = LIST_FIRST(&lanes->unused); lane; lane = next) {
        next = LIST_NEXT(lane, same);
        free(lane);
    }
    free(lanes);
}

void rb_lanes_add(struct rb_lanes *lanes, struct rb_parcel *parcel)
{
    struct rb_lane *lane = find(lanes, parcel->branch, parcel->target);
    if (!lane)
        lane = lane_new(lanes, parcel->branch, parcel->target);
    if (lane->queued == 0)
        TAILQ_INSERT_TAIL(&lanes->ring, lane, turn);
    STAILQ_INSERT_TAIL(&lane->queue, parcel, link);
    parcel->lane = lane;
    lane->queued++;
    lanes->queued++;
}

struct rb_parcel *rb_lanes_next(struct rb_lanes *lanes)
{
    struct rb_lane *lane;
    if (lanes->flying >= lanes->slots)
        return NULL;
    TAILQ_FOREACH(lane, &lanes->ring, turn)
    if (may_fly(lanes, lane))
        break;
    if (!lane)
        return NULL;
    TAILQ_REMOVE(&lanes->ring, lane, turn);
    TAILQ_INSERT_TAIL(&lanes->ring, lane, turn);
    lane->flying++;
    lanes->flying++;
    return unqueue(lanes, lane);
}

void rb_lanes_landed(struct rb_lanes *lanes, struct rb_parcel *parcel)
{
    struct rb_lane *lane = parcel->lane;
    RB_INVARIANT(lane && lane->flying > 0);
    lanes->flying--;
    parcel->lane = NULL;
    if (--lane->flying == 0 && lane->queued == 0)
        retire(lanes, lane);
}

struct rb_parcel *rb_lanes_withdraw(struct rb_lanes *lanes, int branch, int target)
{
    struct rb_lane *lane = branch ? find(lanes, branch, target) : TAILQ_FIRST(&lanes->ring);
    if (!lane || !lane->queued)
        return NULL;
    struct rb_parcel *parcel = unqueue(lanes, lane);
    parcel->lane = NULL;
    return parcel;
}

unsigned rb_lanes_queued(const struct rb_lanes *lanes)
{
    return lanes->queued;
}

unsigned rb_lanes_flying(const struct rb_lanes *lanes)
{
    return lanes->flying;
}

void rb_lanes_busy(const struct rb_lanes *lanes, void (*fn)(void *ctx, int branch, int target, unsigned room),
                   void *ctx)
{
    struct rb_lane *lane;
    TAILQ_FOREACH(lane, &lanes->ring, turn)
    fn(ctx, lane->branch, lane->target, lane->flying > lane->queued ? lane->flying - lane->queued : 0);
}
