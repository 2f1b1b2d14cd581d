/*
 * Streams of streams.h. The desk finds out who opens one; from then on his sight is asked for anew every
 * minute, and a session that was ended comes by the feed. Telling goes in slices, so that intake never waits
 * for two thousand writes. Never holds anything for a stream but its place: what its client does not take in
 * time it reads again.
 */
#include "server/console/streams.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "server/console/answer.h"
#include "server/console/feed.h"
#include "server/console/sight.h"

enum {
    SLICE = 16,            /* streams in one turn of the loop */
    LOOK_BACK_MOST = 2000, /* rows behind a place; who missed more loads again */
    LOOK_BACKS = 4,        /* at the same time */
    ROUNDS = 5,            /* until who comes late has caught up */
    OF_SESSION = 4,        /* streams; the oldest makes room */
    OF_ACCOUNT = 32,
    SIGHTS_EVERY_S = 60, /* each stream's */
    RETRY_LEAST_MS = 1000,
    RETRY_SPREAD_MS = 4000, /* browsers do not come back all at once */
    SMALL = 512
};

#define OUTPUT_CAP (512u * 1024)
#define WORDS_MOST (256u * 1024) /* told at once: one who is to hear more loads again */
#define SIGHTS_US (10 * RB_SECOND)

/* Between two slices: neither intake nor those who read have to wait for a burst of two thousand. */
static const struct timeval between = {.tv_usec = 1000};

extern const char rb_sql_sights[];
static const struct rb_statement sights = {"sights", rb_sql_sights};

enum state { BEHIND, LOOKING_BACK, LIVE };

struct viewer {
    TAILQ_ENTRY(viewer) link;
    struct rb_streams *streams;
    struct rb_stream *out;
    uint64_t number;
    int64_t session;
    struct rb_sight sight;
    struct rb_place place;
    enum state state;
    unsigned rounds;
};

TAILQ_HEAD(viewers, viewer);

struct rb_streams {
    struct event_base *base;
    struct rb_db *db;
    struct rb_feed *feed;
    struct viewers viewers; /* the oldest first */
    size_t count;
    uint64_t last_number;
    unsigned looking_back;
    struct rb_batch *batch; /* being told */
    struct viewer *told_next;
    struct event *tell;
    struct event *renew;
    struct viewer *renew_next;
    bool renewing;
    struct rb_buf words;
    struct rb_series *open;
    struct rb_series *told;
    struct rb_metric *ended;
};

/* A question about viewers, who may be gone when it is answered. */
struct question {
    struct rb_streams *streams;
    size_t n;
    uint64_t numbers[];
};

static struct question *new_question(struct rb_streams *streams, size_t most)
{
    struct question *question = calloc(1, sizeof(*question) + most * sizeof(question->numbers[0]));
    RB_INVARIANT(question != NULL);
    question->streams = streams;
    return question;
}

static struct viewer *find(struct rb_streams *streams, uint64_t number)
{
    struct viewer *viewer;
    TAILQ_FOREACH(viewer, &streams->viewers, link)
    {
        if (viewer->number == number)
            return viewer;
    }
    return NULL;
}

/* --- the end of a stream --- */

static void forget(struct viewer *viewer, const char *why)
{
    struct rb_streams *streams = viewer->streams;
    if (streams->told_next == viewer)
        streams->told_next = TAILQ_NEXT(viewer, link);
    if (streams->renew_next == viewer)
        streams->renew_next = TAILQ_NEXT(viewer, link);
    TAILQ_REMOVE(&streams->viewers, viewer, link);
    rb_set(streams->open, (double)--streams->count);
    rb_count(rb_series(streams->ended, why), 1);
    rb_sight_deinit(&viewer->sight);
    free(viewer);
    if (streams->count == 0)
        rb_feed_stop(streams->feed);
}

static void end(struct viewer *viewer, const char *why)
{
    char text[SMALL];
    int len = snprintf(text, sizeof(text), "event: end\ndata: {\"reason\": \"%s\"}\n\n", why);
    (void)rb_stream_write(viewer->out, text, (size_t)len);
    rb_stream_end(viewer->out);
    forget(viewer, why);
}

static void on_closed(void *ctx, bool too_slow)
{
    forget(ctx, too_slow ? "slow" : "gone");
}

static int retry_ms(const struct viewer *viewer)
{
    return RETRY_LEAST_MS + (int)(viewer->number * 2654435761u % RETRY_SPREAD_MS);
}

static void on_leaving(void *ctx)
{
    struct viewer *viewer = ctx;
    char text[SMALL];
    int len = snprintf(text, sizeof(text), "retry: %d\n\n", retry_ms(viewer));
    (void)rb_stream_write(viewer->out, text, (size_t)len);
    rb_stream_end(viewer->out);
    forget(viewer, "drained");
}

/* --- telling --- */

/* A comment for the proxies on the way, and for the browser the place, so that one who saw nothing of what
 * has happened meanwhile need not read it all when he comes back. */
static void on_idle(void *ctx)
{
    struct viewer *viewer = ctx;
    char place[RB_PLACE_SIZE];
    char text[SMALL];
    rb_place_format(&viewer->place, place);
    int len = snprintf(text, sizeof(text), ":\nid: %s\n\n", place);
    (void)rb_stream_write(viewer->out, text, (size_t)len);
}

static const struct rb_stream_handler handler = {on_idle, on_leaving, on_closed};

static void say_reload(struct viewer *viewer, const char *why)
{
    char place[RB_PLACE_SIZE];
    char text[SMALL];
    rb_place_format(&viewer->place, place);
    int len =
        snprintf(text, sizeof(text), "id: %s\nevent: reload\ndata: {\"reason\": \"%s\"}\n\n", place, why);
    (void)rb_stream_write(viewer->out, text, (size_t)len);
    rb_count(viewer->streams->told, 1);
}

static void tell(struct viewer *viewer, const struct rb_batch *batch)
{
    struct rb_streams *streams = viewer->streams;
    if (batch->lost) {
        viewer->place = batch->place;
        say_reload(viewer, "gap");
        return;
    }
    rb_buf_reset(&streams->words);
    size_t events = rb_batch_tell(batch, &viewer->sight, &viewer->place, &streams->words);
    if (rb_place_compare(&batch->place, &viewer->place) > 0)
        viewer->place = batch->place;
    if (rb_buf_err(&streams->words) != RB_OK) {
        say_reload(viewer, "gap");
    } else if (events) {
        rb_count(streams->told, (double)events);
        (void)rb_stream_write(viewer->out, streams->words.data, streams->words.len);
    }
}

static void tell_some(struct rb_streams *streams)
{
    const struct rb_batch *batch = streams->batch;
    for (int i = 0; i < SLICE && streams->told_next; i++) {
        struct viewer *viewer = streams->told_next;
        streams->told_next = TAILQ_NEXT(viewer, link);
        if (viewer->state == LIVE)
            tell(viewer, batch);
        if (batch->sessions && rb_batch_ends(batch, viewer->sight.branch, viewer->session))
            end(viewer, "session");
    }
}

static void on_tell(evutil_socket_t fd, short what, void *arg)
{
    struct rb_streams *streams = arg;
    (void)fd;
    (void)what;
    tell_some(streams);
    if (streams->told_next) {
        evtimer_add(streams->tell, &between);
        return;
    }
    rb_batch_free(streams->batch);
    streams->batch = NULL;
    rb_feed_go_on(streams->feed);
}

static void on_news(void *ctx, struct rb_batch *batch)
{
    struct rb_streams *streams = ctx;
    RB_INVARIANT(!streams->batch);
    streams->batch = batch;
    streams->told_next = TAILQ_FIRST(&streams->viewers);
    evtimer_add(streams->tell, &between);
}

/* --- who comes late: what he missed first, until he stands where the others do --- */

static void caught_up_with(struct viewer *viewer, struct rb_batch *batch)
{
    const struct rb_place *others = rb_feed_place(viewer->streams->feed);
    bool too_much = batch->lost || batch->more;
    if (too_much || ++viewer->rounds > ROUNDS) {
        viewer->place = rb_place_compare(others, &batch->place) > 0 ? *others : batch->place;
        say_reload(viewer, "gap");
        viewer->state = LIVE;
        return;
    }
    tell(viewer, batch);
    viewer->state = rb_place_compare(others, &viewer->place) > 0 ? BEHIND : LIVE;
}

static void look_back_some(struct rb_streams *streams);

static void on_looked_back(void *ctx, struct rb_batch *batch)
{
    struct question *question = ctx;
    struct rb_streams *streams = question->streams;
    struct viewer *viewer = find(streams, question->numbers[0]);
    streams->looking_back--;
    if (viewer && batch)
        caught_up_with(viewer, batch);
    else if (viewer)
        viewer->state = BEHIND;
    rb_batch_free(batch);
    free(question);
    if (batch)
        look_back_some(streams);
}

static bool look_back(struct viewer *viewer)
{
    struct rb_streams *streams = viewer->streams;
    struct question *question = new_question(streams, 1);
    question->numbers[0] = viewer->number;
    if (rb_feed_look_back(streams->feed, viewer->sight.branch, &viewer->place, LOOK_BACK_MOST, on_looked_back,
                          question) != RB_OK) {
        free(question);
        return false;
    }
    viewer->state = LOOKING_BACK;
    streams->looking_back++;
    return true;
}

static void look_back_some(struct rb_streams *streams)
{
    struct viewer *viewer;
    TAILQ_FOREACH(viewer, &streams->viewers, link)
    {
        if (streams->looking_back >= LOOK_BACKS || (viewer->state == BEHIND && !look_back(viewer)))
            return;
    }
}

/* --- whose sight has changed, whose session has ended --- */

static void apply_sight(struct viewer *viewer, const char *text)
{
    if (!text) {
        end(viewer, "session");
        return;
    }
    struct rb_sight sight;
    json_t *json = json_loads(text, 0, NULL);
    RB_INVARIANT(json != NULL);
    rb_sight_init(&sight, json);
    json_decref(json);
    bool same = rb_sight_equal(&sight, &viewer->sight);
    rb_sight_deinit(&viewer->sight);
    viewer->sight = sight;
    if (!same)
        say_reload(viewer, "rights");
}

static void on_sights(void *ctx, enum rb_err err, const struct rb_result *result)
{
    struct question *question = ctx;
    struct rb_streams *streams = question->streams;
    streams->renewing = false;
    if (err != RB_OK && err != RB_ERR_AWAY)
        rb_warning("streams", "sights were not renewed error=%s sqlstate=%s message=\"%s\"", rb_err_name(err),
                   rb_db_sqlstate(streams->db), rb_db_message(streams->db));
    for (size_t i = 0; err == RB_OK && i < question->n; i++) {
        struct viewer *viewer = find(streams, question->numbers[i]);
        if (viewer)
            apply_sight(viewer, rb_result_text(result, (int)i, 0));
    }
    free(question);
}

/* A sixtieth of all streams each second. */
static void renew_some(struct rb_streams *streams)
{
    size_t most = streams->count / SIGHTS_EVERY_S + 1;
    struct question *question = new_question(streams, most);
    struct rb_db_step step = {.statement = &sights, .params = rb_params_new()};
    struct viewer *first = streams->renew_next ? streams->renew_next : TAILQ_FIRST(&streams->viewers);
    struct viewer *viewer = first;
    rb_param_array(step.params, RB_ARRAY_INT4);
    for (size_t i = 0; i < most && viewer; i++, viewer = TAILQ_NEXT(viewer, link)) {
        rb_item_int(step.params, viewer->sight.branch);
        question->numbers[question->n++] = viewer->number;
    }
    streams->renew_next = viewer;
    rb_param_array(step.params, RB_ARRAY_INT8);
    viewer = first;
    for (size_t i = 0; i < question->n; i++, viewer = TAILQ_NEXT(viewer, link))
        rb_item_int(step.params, viewer->session);
    streams->renewing = rb_db_submit(streams->db, &step, 1, SIGHTS_US, on_sights, question) == RB_OK;
    if (!streams->renewing)
        free(question);
}

static void on_renew(evutil_socket_t fd, short what, void *arg)
{
    struct rb_streams *streams = arg;
    (void)fd;
    (void)what;
    if (streams->count == 0 || !rb_db_is_up(streams->db))
        return;
    look_back_some(streams);
    if (!streams->renewing)
        renew_some(streams);
}

/* --- the beginning of a stream --- */

static void make_room(struct viewer *newest)
{
    struct viewer *viewer;
    struct viewer *oldest_of_session = NULL;
    struct viewer *oldest_of_account = NULL;
    unsigned of_session = 0;
    unsigned of_account = 0;
    TAILQ_FOREACH(viewer, &newest->streams->viewers, link)
    {
        if (viewer->sight.branch != newest->sight.branch || viewer->sight.account != newest->sight.account)
            continue;
        if (of_account++ == 0)
            oldest_of_account = viewer;
        if (viewer->session == newest->session && of_session++ == 0)
            oldest_of_session = viewer;
    }
    if (of_session > OF_SESSION)
        end(oldest_of_session, "superseded");
    else if (of_account > OF_ACCOUNT)
        end(oldest_of_account, "superseded");
}

static void say_hello(struct viewer *viewer, const char *now, bool resumed)
{
    char place[RB_PLACE_SIZE];
    char text[SMALL];
    rb_place_format(&viewer->place, place);
    int len = snprintf(text, sizeof(text),
                       "retry: %d\n%s%s%sevent: hello\ndata: {\"now\": \"%s\", \"resumed\": %s}\n\n",
                       retry_ms(viewer), resumed ? "" : "id: ", resumed ? "" : place, resumed ? "" : "\n",
                       now, resumed ? "true" : "false");
    (void)rb_stream_write(viewer->out, text, (size_t)len);
}

/* Where one begins who remembers no place: where the others stand, or further on. */
static void begin_here(struct viewer *viewer, const struct rb_place *here)
{
    struct rb_feed *feed = viewer->streams->feed;
    if (!rb_feed_is_reading(feed))
        rb_feed_start(feed, here);
    if (viewer->state == LIVE)
        viewer->place = rb_place_compare(rb_feed_place(feed), here) > 0 ? *rb_feed_place(feed) : *here;
}

static struct viewer *new_viewer(struct rb_streams *streams, const json_t *opened)
{
    struct viewer *viewer = calloc(1, sizeof(*viewer));
    const json_t *sight = json_object_get(opened, "sight");
    RB_INVARIANT(viewer && sight);
    viewer->streams = streams;
    viewer->number = ++streams->last_number;
    viewer->session = json_integer_value(json_object_get(opened, "session"));
    rb_sight_init(&viewer->sight, sight);
    return viewer;
}

/* The place that the browser remembers; the header is its own, the query for programs that cannot set one. */
static bool asked_place(const struct rb_request *req, struct rb_place *place)
{
    const char *text = rb_request_header(req, "Last-Event-ID");
    if (!text || !*text)
        text = rb_request_query(req, "last_event_id");
    return text && rb_place_parse(text, place);
}

static void begin(struct rb_streams *streams, struct rb_request *req, const json_t *opened)
{
    struct rb_place here;
    struct viewer *viewer = new_viewer(streams, opened);
    bool resumes = asked_place(req, &viewer->place);
    RB_INVARIANT(rb_place_parse(json_string_value(json_object_get(opened, "place")), &here));
    viewer->state = resumes ? BEHIND : LIVE;
    viewer->out = rb_answer_stream(req, "text/event-stream", OUTPUT_CAP, &handler, viewer);
    if (!viewer->out) { /* nobody is there */
        rb_sight_deinit(&viewer->sight);
        free(viewer);
        return;
    }
    TAILQ_INSERT_TAIL(&streams->viewers, viewer, link);
    rb_set(streams->open, (double)++streams->count);
    make_room(viewer);
    begin_here(viewer, &here);
    say_hello(viewer, json_string_value(json_object_get(opened, "now")), resumes);
    if (resumes)
        look_back_some(streams);
}

static void on_opened(void *ctx, struct rb_request *req, const char *body)
{
    json_t *opened = json_loads(body, 0, NULL);
    RB_INVARIANT(opened != NULL);
    begin(ctx, req, opened);
    json_decref(opened);
}

void rb_streams_open(struct rb_streams *streams, struct rb_desk *desk, struct rb_request *req)
{
    rb_desk_handle_then(desk, req, on_opened, streams);
}

struct rb_streams *rb_streams_new(struct event_base *base, struct rb_db *db)
{
    struct timeval second = {.tv_sec = 1};
    struct rb_streams *streams = calloc(1, sizeof(*streams));
    RB_INVARIANT(streams != NULL);
    streams->base = base;
    streams->db = db;
    TAILQ_INIT(&streams->viewers);
    rb_buf_init(&streams->words, WORDS_MOST);
    streams->feed = rb_feed_new(base, db, on_news, streams);
    streams->tell = evtimer_new(base, on_tell, streams);
    streams->renew = event_new(base, -1, EV_PERSIST, on_renew, streams);
    RB_INVARIANT(streams->tell && streams->renew && event_add(streams->renew, &second) == 0);
    streams->open = rb_series(rb_gauge("ringback_streams", "Open streams of the console.", NULL), NULL);
    streams->told =
        rb_series(rb_counter("ringback_stream_events", "Events sent to streams of the console.", NULL), NULL);
    streams->ended =
        rb_counter("ringback_streams_ended",
                   "Streams that have ended, by reason: gone, slow, session, superseded, drained.", "reason");
    return streams;
}

void rb_streams_free(struct rb_streams *streams)
{
    if (!streams)
        return;
    RB_INVARIANT(streams->count == 0);
    rb_batch_free(streams->batch);
    rb_feed_free(streams->feed);
    event_free(streams->tell);
    event_free(streams->renew);
    rb_buf_deinit(&streams->words);
    free(streams);
}
