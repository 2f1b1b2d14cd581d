/*
 * News of news.h. Called by the feed, which reads, and the streams, which tell. Knows who may see what by
 * sight.h only, and never looks into an event's data.
 */
#include "server/console/news.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define EVENT_MOST 16384

enum topic { FOLLOW_UP, CALL, NOTIFICATION, SESSION };

struct rb_news {
    enum topic topic;
    struct rb_concern concern;
    struct rb_place place;
    int64_t subject; /* of a session */
    int64_t *people; /* owners before, or whose notification it is */
    size_t n;
    char *text; /* the event */
    char *gone; /* what an owner before is told who sees it no more; NULL: there is none */
};

/* --- places --- */

bool rb_place_parse(const char *text, struct rb_place *place)
{
    char *end;
    if (strspn(text, "0123456789-") != strlen(text) || strlen(text) >= RB_PLACE_SIZE)
        return false;
    place->xid = strtoull(text, &end, 10);
    if (end == text || *end != '-' || end[1] == '\0')
        return false;
    const char *id = end + 1;
    place->id = strtoull(id, &end, 10);
    return *end == '\0' && *id != '-' && place->id <= INT64_MAX && place->xid < UINT64_MAX;
}

void rb_place_format(const struct rb_place *place, char text[RB_PLACE_SIZE])
{
    snprintf(text, RB_PLACE_SIZE, "%" PRIu64 "-%" PRIu64, place->xid, place->id);
}

int rb_place_compare(const struct rb_place *a, const struct rb_place *b)
{
    return a->xid != b->xid ? (a->xid > b->xid) - (a->xid < b->xid) : (a->id > b->id) - (a->id < b->id);
}

/* --- from rows --- */

static enum topic topic_of(const char *text)
{
    static const char *const names[] = {"follow-up", "call", "notification", "session"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(text, names[i]) == 0)
            return (enum topic)i;
    RB_INVARIANT(!"a topic of the feed");
    return SESSION;
}

/* "{1,2}" */
static void read_people(struct rb_news *news, const char *text)
{
    for (const char *at = text; at && *at; at++) {
        if (*at < '0' || *at > '9')
            continue;
        char *end;
        news->people = realloc(news->people, (news->n + 1) * sizeof(*news->people));
        RB_INVARIANT(news->people != NULL);
        news->people[news->n++] = strtoll(at, &end, 10);
        at = end - 1;
    }
}

static char *write_event(const char *place, const char *name, const char *data)
{
    struct rb_buf text;
    rb_buf_init(&text, EVENT_MOST);
    rb_buf_printf(&text, "id: %s\nevent: %s\ndata: %s\n\n", place, name, data);
    char *made = rb_buf_take(&text, NULL);
    RB_INVARIANT(made != NULL);
    return made;
}

static void write_texts(struct rb_news *news, const char *topic, const char *place, const char *subject,
                        const char *body)
{
    char gone[64];
    if (body)
        news->text = write_event(place, topic, body);
    if (news->topic == FOLLOW_UP && news->n) {
        snprintf(gone, sizeof(gone), "{\"id\" : %s}", subject);
        news->gone = write_event(place, "follow-up-gone", gone);
    }
}

static void read_news(struct rb_news *news, const struct rb_result *result, int row)
{
    const char *topic = rb_result_text(result, row, rb_result_column(result, "topic"));
    const char *place = rb_result_text(result, row, rb_result_column(result, "place"));
    const char *subject = rb_result_text(result, row, rb_result_column(result, "subject"));
    news->topic = topic_of(topic);
    news->concern = (struct rb_concern){
        .branch = rb_result_int(result, row, rb_result_column(result, "branch_id")),
        .owner = rb_result_int(result, row, rb_result_column(result, "owner_id")),
        .manager = rb_result_int(result, row, rb_result_column(result, "manager_id")),
        .area = rb_result_int(result, row, rb_result_column(result, "area_id")),
        .has_retailer = rb_result_bool(result, row, rb_result_column(result, "has_retailer")),
        .report = rb_result_bool(result, row, rb_result_column(result, "report"))};
    RB_INVARIANT(rb_place_parse(place, &news->place));
    news->subject = news->topic == SESSION ? strtoll(subject, NULL, 10) : 0;
    read_people(news, rb_result_text(result, row, rb_result_column(result, "people")));
    write_texts(news, topic, place, subject, rb_result_text(result, row, rb_result_column(result, "body")));
}

struct rb_batch *rb_batch_new(const struct rb_result *result)
{
    struct rb_batch *batch = calloc(1, sizeof(*batch));
    int last = rb_result_rows(result) - 1;
    RB_INVARIANT(batch && last >= 0 && rb_result_is_null(result, last, rb_result_column(result, "topic")));
    batch->n = (size_t)last;
    batch->items = calloc(batch->n + 1, sizeof(*batch->items));
    RB_INVARIANT(batch->items != NULL);
    for (int row = 0; row < last; row++) {
        double seconds = rb_result_double(result, row, rb_result_column(result, "seconds"));
        read_news(&batch->items[row], result, row);
        batch->sessions |= batch->items[row].topic == SESSION;
        if (seconds > batch->oldest)
            batch->oldest = seconds;
    }
    batch->lost = rb_result_bool(result, last, rb_result_column(result, "lost"));
    batch->more = rb_result_bool(result, last, rb_result_column(result, "more"));
    RB_INVARIANT(
        rb_place_parse(rb_result_text(result, last, rb_result_column(result, "place")), &batch->place));
    return batch;
}

void rb_batch_free(struct rb_batch *batch)
{
    if (!batch)
        return;
    for (size_t i = 0; i < batch->n; i++) {
        free(batch->items[i].people);
        free(batch->items[i].text);
        free(batch->items[i].gone);
    }
    free(batch->items);
    free(batch);
}

/* --- to viewers --- */

static bool was_his(const struct rb_news *news, const struct rb_sight *sight)
{
    for (size_t i = 0; i < news->n; i++)
        if (rb_sight_manages(sight, news->people[i]))
            return news->concern.branch == sight->branch && (!news->concern.report || sight->reports);
    return false;
}

/* What this viewer is told; NULL: nothing. */
static const char *words_for(const struct rb_news *news, const struct rb_sight *sight)
{
    switch (news->topic) {
    case FOLLOW_UP:
        return rb_sight_follow_up(sight, &news->concern) ? news->text
               : was_his(news, sight)                    ? news->gone
                                                         : NULL;
    case CALL:
        return rb_sight_call(sight, &news->concern) ? news->text : NULL;
    case NOTIFICATION:
        return news->concern.branch == sight->branch && news->n == 1 && news->people[0] == sight->person
                   ? news->text
                   : NULL;
    default:
        return NULL;
    }
}

size_t rb_batch_tell(const struct rb_batch *batch, const struct rb_sight *sight,
                     const struct rb_place *behind, struct rb_buf *out)
{
    size_t told = 0;
    for (size_t i = 0; i < batch->n; i++) {
        const struct rb_news *news = &batch->items[i];
        const char *words = rb_place_compare(&news->place, behind) > 0 ? words_for(news, sight) : NULL;
        if (words) {
            rb_buf_str(out, words);
            told++;
        }
    }
    return told;
}

bool rb_batch_ends(const struct rb_batch *batch, int64_t branch, int64_t session)
{
    for (size_t i = 0; i < batch->n; i++)
        if (batch->items[i].topic == SESSION && batch->items[i].concern.branch == branch &&
            batch->items[i].subject == session)
            return true;
    return false;
}
