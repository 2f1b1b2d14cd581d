/*
 * What the robots of chat programs have in common: they answer 200 whatever happened and say in the body what
 * did. Pure; used by the robots' channels.
 */
#ifndef RB_SERVER_CHANNEL_ROBOT_H
#define RB_SERVER_CHANNEL_ROBOT_H

#include "server/channel/channel.h"

/* What an errcode means; a table of them ends with words NULL. */
struct rb_robot_code {
    int64_t code;
    enum rb_fate fate;
    int64_t rest_us;
    const char *words;
};

/* Any other errcode is tried again, and so is a body that cannot be understood. punished_us: how long to rest
 * when the answer says "punish". */
void rb_robot_judge(const struct rb_answer *answer, const struct rb_robot_code *codes, int64_t punished_us,
                    struct rb_verdict *verdict);

#endif
