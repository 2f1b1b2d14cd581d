/*
 * Robots' answers, see robot.h.
 */
#include "server/channel/robot.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"

#define MOST 1000000000

static const char *judge_code(int64_t code, const struct rb_robot_code *codes, struct rb_verdict *verdict)
{
    for (; codes->words; codes++) {
        if (codes->code == code) {
            verdict->fate = codes->fate;
            verdict->rest_us = codes->rest_us;
            return codes->words;
        }
    }
    return code ? "refused" : NULL;
}

/* "punish":"deny","wait":5: too much was sent, whatever the errcode says. */
static void judge_punishment(const json_t *body, int64_t punished_us, struct rb_verdict *verdict)
{
    int64_t seconds = 0;
    if (!punished_us || !json_is_string(json_object_get(body, "punish")))
        return;
    if (!rb_json_whole(json_object_get(body, "wait"), 0, 86400, &seconds))
        seconds = 0;
    if (verdict->fate == RB_FATE_DELIVERED)
        verdict->fate = RB_FATE_RETRY;
    if (verdict->rest_us < punished_us)
        verdict->rest_us = punished_us;
    if (verdict->rest_us < seconds * RB_SECOND)
        verdict->rest_us = seconds * RB_SECOND;
    if (!verdict->error)
        verdict->error = "blocked for sending too much";
}

static void judge_body(const json_t *body, const struct rb_robot_code *codes, int64_t punished_us,
                       struct rb_verdict *verdict)
{
    int64_t code;
    if (!rb_json_whole(json_object_get(body, "errcode"), -MOST, MOST, &code)) {
        verdict->error = "answer without an errcode";
        return;
    }
    if (code == 0)
        verdict->fate = RB_FATE_DELIVERED;
    const char *words = judge_code(code, codes, verdict);
    if (words) {
        snprintf(verdict->words, sizeof(verdict->words), "errcode %lld: %s", (long long)code, words);
        verdict->error = verdict->words;
    }
    judge_punishment(body, punished_us, verdict);
}

void rb_robot_judge(const struct rb_answer *answer, const struct rb_robot_code *codes, int64_t punished_us,
                    struct rb_verdict *verdict)
{
    char why[128];
    json_t *body = NULL;
    *verdict = (struct rb_verdict){.fate = RB_FATE_RETRY, .status = answer->status, .error = answer->error};
    if (answer->err != RB_OK)
        return;
    if (answer->status != 200) {
        if (answer->status == 429 || answer->status == 503)
            verdict->rest_us = answer->retry_after_us;
        return;
    }
    if (rb_json_parse(answer->body, answer->body_len, &body, why, sizeof(why)) == RB_OK &&
        json_is_object(body))
        judge_body(body, codes, punished_us, verdict);
    else
        verdict->error = "answer that cannot be understood";
    json_decref(body);
}
