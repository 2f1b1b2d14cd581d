/*
 * The rules of sight.h. Called by the streams for every row of the feed and every viewer; decides nothing
 * about requests, which the database does.
 */
#include "server/console/sight.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"

static int64_t id_of(const json_t *json, const char *name)
{
    const json_t *value = json_object_get(json, name);
    RB_INVARIANT(json_is_integer(value) || json_is_null(value));
    return json_integer_value(value);
}

static bool flag_of(const json_t *json, const char *name)
{
    const json_t *value = json_object_get(json, name);
    RB_INVARIANT(json_is_boolean(value));
    return json_is_true(value);
}

void rb_sight_init(struct rb_sight *sight, const json_t *json)
{
    const json_t *managers = json_object_get(json, "managers");
    RB_INVARIANT(json_is_array(managers));
    *sight = (struct rb_sight){.branch = id_of(json, "branch"),
                               .account = id_of(json, "account"),
                               .person = id_of(json, "person"),
                               .area = id_of(json, "area"),
                               .everything = flag_of(json, "everything"),
                               .retailers = flag_of(json, "retailers"),
                               .reports = flag_of(json, "reports"),
                               .through_retailers = flag_of(json, "through_retailers"),
                               .n = json_array_size(managers)};
    if (!sight->n)
        return;
    sight->managers = calloc(sight->n, sizeof(*sight->managers));
    RB_INVARIANT(sight->managers != NULL);
    for (size_t i = 0; i < sight->n; i++)
        sight->managers[i] = json_integer_value(json_array_get(managers, i));
}

void rb_sight_deinit(struct rb_sight *sight)
{
    free(sight->managers);
    sight->managers = NULL;
}

bool rb_sight_equal(const struct rb_sight *a, const struct rb_sight *b)
{
    return a->branch == b->branch && a->account == b->account && a->person == b->person &&
           a->area == b->area && a->everything == b->everything && a->retailers == b->retailers &&
           a->reports == b->reports && a->through_retailers == b->through_retailers && a->n == b->n &&
           (!a->n || memcmp(a->managers, b->managers, a->n * sizeof(*a->managers)) == 0);
}

static int by_id(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

bool rb_sight_manages(const struct rb_sight *sight, int64_t person)
{
    return person && sight->n && bsearch(&person, sight->managers, sight->n, sizeof(person), by_id) != NULL;
}

static bool sees_retailer(const struct rb_sight *sight, const struct rb_concern *concern)
{
    return concern->has_retailer && (sight->retailers || rb_sight_manages(sight, concern->manager) ||
                                     (sight->area && concern->area == sight->area));
}

bool rb_sight_follow_up(const struct rb_sight *sight, const struct rb_concern *concern)
{
    if (concern->branch != sight->branch)
        return false;
    if (concern->report)
        return sight->reports;
    return sight->everything || rb_sight_manages(sight, concern->owner) ||
           (sight->through_retailers && sees_retailer(sight, concern));
}

bool rb_sight_call(const struct rb_sight *sight, const struct rb_concern *concern)
{
    return concern->branch == sight->branch && (sight->everything || sees_retailer(sight, concern));
}
