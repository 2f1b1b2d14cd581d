/*
 * The webhook channel: the notification's CloudEvent in structured mode, signed by the Standard Webhooks
 * scheme. 2xx is delivered, 410 says never again, 429 and 503 may ask for rest.
 */
#include <stdio.h>

#include "common/clock.h"
#include "common/sign.h"
#include "server/channel/channel.h"

static enum rb_err compose(const struct rb_message *message, int64_t wall_us, struct rb_call *call,
                           char **made)
{
    char timestamp[24];
    char signature[RB_SIGNATURE_SIZE];
    int64_t seconds = wall_us / RB_SECOND;
    (void)made;
    enum rb_err err =
        rb_sign(message->secret, message->id, seconds, message->body, message->body_len, signature);
    if (err != RB_OK)
        return err;
    snprintf(timestamp, sizeof(timestamp), "%lld", (long long)seconds);
    call->url = message->address;
    call->body = message->body;
    call->body_len = message->body_len;
    rb_call_header(call, "Content-Type", "application/cloudevents+json");
    rb_call_header(call, "User-Agent", "ringback/" RB_VERSION);
    rb_call_header(call, "webhook-id", message->id);
    rb_call_header(call, "webhook-timestamp", timestamp);
    rb_call_header(call, "webhook-signature", signature);
    return RB_OK;
}

/* A client error blames the message, but for those that any message to this address would meet. */
static bool blames_message(int status)
{
    switch (status) {
    case 401:
    case 403:
    case 404:
    case 405:
    case 407:
    case 408:
    case 421:
    case 425:
    case 429:
        return false;
    default:
        return status >= 400 && status < 500;
    }
}

static void judge(const struct rb_answer *answer, struct rb_verdict *verdict)
{
    int status = answer->status;
    *verdict = (struct rb_verdict){.fate = RB_FATE_RETRY, .status = status, .error = answer->error};
    if (answer->err != RB_OK)
        return;
    if (status >= 200 && status < 300)
        verdict->fate = RB_FATE_DELIVERED;
    else if (status == 410)
        verdict->fate = RB_FATE_GONE;
    else if (blames_message(status))
        verdict->fate = RB_FATE_REFUSED;
    else if (status == 429 || status == 503)
        verdict->rest_us = answer->retry_after_us;
}

const struct rb_channel rb_channel_webhook = {
    .name = "webhook", .has_secret = true, .compose = compose, .judge = judge};
