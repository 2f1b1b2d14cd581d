/*
 * What somebody at the console sees of the feed: the row-level rules of the database
 * (schema/migrations/0006-desk.sql) once more, for rows that are told instead of asked for. Pure; a flow test
 * holds the two against each other.
 */
#ifndef RB_SERVER_CONSOLE_SIGHT_H
#define RB_SERVER_CONSOLE_SIGHT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ids; 0 stands for none. */
struct rb_sight {
    int64_t branch;
    int64_t account;
    int64_t person;
    int64_t area;           /* the one that a market manager answers for */
    bool everything;        /* of the branch, but for reports */
    bool retailers;         /* all of the branch */
    bool reports;           /* of offences */
    bool through_retailers; /* follow-ups of retailers he sees, whoever owns them */
    int64_t *managers;      /* whose retailers and follow-ups are his; sorted */
    size_t n;
};

/* Whose something in the feed is. */
struct rb_concern {
    int64_t branch;
    int64_t owner;
    int64_t manager; /* of its retailer */
    int64_t area;    /* of its retailer */
    bool has_retailer;
    bool report;
};

/* From the JSON of the SQL function sight(); a member that is missing is a broken invariant. */
void rb_sight_init(struct rb_sight *sight, const json_t *json);
void rb_sight_deinit(struct rb_sight *sight);
bool rb_sight_equal(const struct rb_sight *a, const struct rb_sight *b);

bool rb_sight_follow_up(const struct rb_sight *sight, const struct rb_concern *concern);
bool rb_sight_call(const struct rb_sight *sight, const struct rb_concern *concern);
/* He is this person or one whose follow-ups are his. */
bool rb_sight_manages(const struct rb_sight *sight, int64_t person);

#endif
