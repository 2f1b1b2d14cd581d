/*
 * libcurl's multi interface on libevent, see transfer.h. libcurl says which sockets to watch and when it
 * wants to be woken; the loop tells it what happened; calls that ended are collected afterwards, outside of
 * libcurl's callbacks, from where nothing of libcurl may be called.
 */
#include "server/channel/transfer.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"

#define RB_MAIL_ADDRESS_SIZE 256
#define RETRY_AFTER_MOST (3 * 86400 * RB_SECOND)

/* One pooled handle and the call that it runs. */
struct slot {
    struct slot *next; /* in the list of free ones */
    struct rb_transfers *transfers;
    CURL *easy;
    struct curl_slist
        list[RB_CALL_HEADERS]; /* nodes of our own, so that a call costs no allocations for them */
    char headers[RB_CALL_HEADERS][RB_CALL_HEADER_SIZE];
    struct rb_buf body;
    size_t head_bytes;
    bool cut;     /* the body was longer than we read */
    bool refused; /* an address was not allowed */
    bool is_mail; /* what the handle is set up for */
    enum rb_mail_phase phase;
    const char *upload; /* what is left of a mail */
    size_t upload_len;
    char rcpt[RB_MAIL_ADDRESS_SIZE];
    int64_t started;
    bool running;
    rb_answer_fn done;
    void *ctx;
};

/* What libcurl wants to know of a socket. */
struct watch {
    struct event *event;
    short what; /* 0: nothing now */
};

struct rb_transfers {
    struct event_base *base;
    const struct rb_networks *allowed;
    long timeout_ms;
    CURLM *multi;
    struct event *timer;
    struct watch *watches; /* by descriptor */
    int n_watches;
    struct slot *slots;
    struct slot *unused;
    unsigned connections;
    unsigned running;
};

/* --- what libcurl calls --- */

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
    struct slot *slot = ctx;
    size_t len = size * n;
    size_t room = RB_ANSWER_BYTES - slot->body.len;
    rb_buf_add(&slot->body, data, len < room ? len : room);
    slot->cut = len > room;
    return slot->cut ? 0 : len;
}

/* Of a mail these are the relay's replies: the last one is kept. */
static size_t on_header(char *data, size_t size, size_t n, void *ctx)
{
    struct slot *slot = ctx;
    slot->head_bytes += size * n;
    if (slot->head_bytes > RB_ANSWER_BYTES)
        return 0;
    if (slot->is_mail) {
        rb_buf_reset(&slot->body);
        rb_buf_add(&slot->body, data, size * n);
    }
    return size * n;
}

static size_t on_upload(char *out, size_t size, size_t n, void *ctx)
{
    struct slot *slot = ctx;
    size_t len = size * n < slot->upload_len ? size * n : slot->upload_len;
    memcpy(out, slot->upload, len);
    slot->upload += len;
    slot->upload_len -= len;
    return len;
}

/* Follows the commands that go to the relay: its last reply is to one of them. */
static int on_talk(CURL *easy, curl_infotype what, char *data, size_t len, void *ctx)
{
    static const struct {
        const char *verb;
        enum rb_mail_phase phase;
    } verbs[] = {{"AUTH", RB_MAIL_LOGIN},
                 {"MAIL", RB_MAIL_SENDER},
                 {"RCPT", RB_MAIL_RECIPIENT},
                 {"DATA", RB_MAIL_CONTENT}};
    struct slot *slot = ctx;
    (void)easy;
    for (size_t i = 0; what == CURLINFO_HEADER_OUT && len >= 4 && i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (memcmp(data, verbs[i].verb, 4) == 0)
            slot->phase = verbs[i].phase;
    return 0;
}

static curl_socket_t on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *addr)
{
    struct slot *slot = ctx;
    struct rb_transfers *transfers = slot->transfers;
    (void)purpose;
    if (!slot->is_mail && rb_addr_is_inside(&addr->addr) &&
        !rb_networks_contain(transfers->allowed, &addr->addr)) {
        slot->refused = true;
        return CURL_SOCKET_BAD;
    }
    int fd = socket(addr->family, addr->socktype | SOCK_CLOEXEC, addr->protocol);
    /* the number may have belonged to a socket that was closed without telling us: its event must not linger
     */
    if (fd >= 0 && fd < transfers->n_watches && transfers->watches[fd].what) {
        event_del(transfers->watches[fd].event);
        transfers->watches[fd].what = 0;
    }
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static void on_socket(evutil_socket_t fd, short what, void *arg);

static struct watch *watch_of(struct rb_transfers *transfers, int fd)
{
    if (fd >= transfers->n_watches) {
        int n = fd + 32;
        transfers->watches = realloc(transfers->watches, (size_t)n * sizeof(transfers->watches[0]));
        RB_INVARIANT(transfers->watches != NULL);
        memset(transfers->watches + transfers->n_watches, 0,
               (size_t)(n - transfers->n_watches) * sizeof(transfers->watches[0]));
        transfers->n_watches = n;
    }
    struct watch *watch = &transfers->watches[fd];
    if (!watch->event) {
        watch->event = event_new(transfers->base, -1, 0, on_socket, transfers);
        RB_INVARIANT(watch->event != NULL);
    }
    return watch;
}

static int on_watch(CURL *easy, curl_socket_t fd, int action, void *ctx, void *socket_ctx)
{
    struct rb_transfers *transfers = ctx;
    struct watch *watch = watch_of(transfers, fd);
    short what = 0;
    (void)easy;
    (void)socket_ctx;
    if (action == CURL_POLL_IN || action == CURL_POLL_INOUT)
        what |= EV_READ;
    if (action == CURL_POLL_OUT || action == CURL_POLL_INOUT)
        what |= EV_WRITE;
    if (what == watch->what)
        return 0;
    if (watch->what)
        event_del(watch->event);
    watch->what = what;
    if (what) {
        event_assign(watch->event, transfers->base, fd, what | EV_PERSIST, on_socket, transfers);
        event_add(watch->event, NULL);
    }
    return 0;
}

static int on_timeout_wanted(CURLM *multi, long ms, void *ctx)
{
    struct rb_transfers *transfers = ctx;
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    (void)multi;
    if (ms < 0)
        evtimer_del(transfers->timer);
    else
        evtimer_add(transfers->timer, &tv);
    return 0;
}

/* --- the end of a call --- */

static const char *words(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return "name does not resolve";
    case CURLE_COULDNT_CONNECT:
        return "no connection";
    case CURLE_OPERATION_TIMEDOUT:
        return "no answer in time";
    case CURLE_GOT_NOTHING:
        return "closed without an answer";
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        return "connection lost";
    case CURLE_WRITE_ERROR:
        return "answer's head too long";
    case CURLE_UNSUPPORTED_PROTOCOL:
        return "neither http nor https";
    case CURLE_USE_SSL_FAILED:
        return "the relay offers no TLS";
    case CURLE_PEER_FAILED_VERIFICATION:
        return "certificate does not hold";
    default:
        return curl_easy_strerror(code);
    }
}

static void release(struct slot *slot)
{
    struct rb_transfers *transfers = slot->transfers;
    curl_multi_remove_handle(transfers->multi, slot->easy);
    slot->running = false;
    slot->next = transfers->unused;
    transfers->unused = slot;
    transfers->running--;
}

/* The slot's next user must not write into the answer that the callback is reading: the body is taken out,
 * and put back unless somebody has made a new one. */
static void finish(struct slot *slot, struct rb_answer *answer)
{
    struct rb_buf body = slot->body;
    rb_answer_fn done = slot->done;
    void *ctx = slot->ctx;
    answer->body = body.data ? body.data : "";
    answer->body_len = body.len;
    answer->took_us = rb_clock_mono() - slot->started;
    rb_buf_init(&slot->body, RB_ANSWER_BYTES);
    release(slot);
    done(ctx, answer);
    if (!slot->running && !slot->body.data)
        slot->body = body;
    else
        rb_buf_deinit(&body);
}

static int64_t retry_after(CURL *easy)
{
    curl_off_t seconds = 0;
    curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds);
    if (seconds <= 0)
        return 0;
    return seconds > RETRY_AFTER_MOST / RB_SECOND ? RETRY_AFTER_MOST : (int64_t)seconds * RB_SECOND;
}

static void end(struct slot *slot, CURLcode code)
{
    struct rb_answer answer = {.err = RB_OK, .phase = slot->phase};
    long status = 0;
    curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &status);
    if (slot->is_mail && code == CURLE_OK) {
        answer.status = 250;
    } else if (slot->is_mail && code != CURLE_OPERATION_TIMEDOUT && status >= 400 && status < 600) {
        answer.status = (int)status; /* the relay has refused it */
    } else if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && slot->cut)) {
        answer.status = (int)status;
        answer.retry_after_us = retry_after(slot->easy);
    } else if (code == CURLE_COULDNT_CONNECT && slot->refused) {
        answer.err = RB_ERR_REFUSED;
        answer.error = "address is not allowed";
    } else {
        answer.err = code == CURLE_OPERATION_TIMEDOUT ? RB_ERR_TIMEOUT : RB_ERR_AWAY;
        answer.error = words(code);
    }
    finish(slot, &answer);
}

static void collect(struct rb_transfers *transfers)
{
    CURLMsg *msg;
    int left;
    while ((msg = curl_multi_info_read(transfers->multi, &left))) {
        char *slot;
        CURLcode code = msg->data.result;
        if (msg->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &slot);
        end((struct slot *)(void *)slot, code);
    }
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
    struct rb_transfers *transfers = arg;
    int running;
    int mask = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
    curl_multi_socket_action(transfers->multi, fd, mask, &running);
    collect(transfers);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct rb_transfers *transfers = arg;
    int running;
    (void)fd;
    (void)what;
    curl_multi_socket_action(transfers->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(transfers);
}

/* --- made and ended --- */

static bool set_http(CURL *easy)
{
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_POST, 1L) == CURLE_OK;
}

/* A relay may close what is idle at any time and a mail is never sent twice by libcurl: no connection is
 * kept. */
static bool set_mail(struct slot *slot)
{
    CURL *easy = slot->easy;
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_upload) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_READDATA, slot) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, on_talk) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_DEBUGDATA, slot) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L) == CURLE_OK;
}

/* What holds for every call of a handle. */
static void set_options(struct slot *slot)
{
    CURL *easy = slot->easy;
    long ms = slot->transfers->timeout_ms;
    bool ok = curl_easy_setopt(easy, CURLOPT_PRIVATE, slot) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
              /* a resolver that hangs must not hang the loop when its call is over */
              curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, ms) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, ms) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_WRITEDATA, slot) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_HEADERDATA, slot) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, slot) == CURLE_OK;
    RB_INVARIANT(ok && (slot->is_mail ? set_mail(slot) : set_http(easy)));
}

/* A handle for this kind of call: its options are set when it is made and when the kind changes. */
static void prepare(struct slot *slot, bool is_mail)
{
    if (slot->easy && slot->is_mail == is_mail)
        return;
    if (slot->easy)
        curl_easy_reset(slot->easy);
    else
        slot->easy = curl_easy_init();
    RB_INVARIANT(slot->easy != NULL);
    slot->is_mail = is_mail;
    set_options(slot);
}

static void set_headers(struct slot *slot, const struct rb_call *call)
{
    for (unsigned i = 0; i < call->n_headers; i++) {
        memcpy(slot->headers[i], call->headers[i], RB_CALL_HEADER_SIZE);
        slot->list[i].data = slot->headers[i];
        slot->list[i].next = i + 1 < call->n_headers ? &slot->list[i + 1] : NULL;
    }
}

struct rb_transfers *rb_transfers_new(struct event_base *base, unsigned connections,
                                      const struct rb_networks *allowed, int64_t timeout_us)
{
    struct rb_transfers *transfers = calloc(1, sizeof(*transfers));
    RB_INVARIANT(transfers && connections);
    transfers->base = base;
    transfers->allowed = allowed;
    transfers->timeout_ms = (long)(timeout_us / 1000);
    transfers->connections = connections;
    transfers->multi = curl_multi_init();
    transfers->timer = evtimer_new(base, on_timer, transfers);
    transfers->slots = calloc(connections, sizeof(transfers->slots[0]));
    RB_INVARIANT(transfers->multi && transfers->timer && transfers->slots);
    curl_multi_setopt(transfers->multi, CURLMOPT_SOCKETFUNCTION, on_watch);
    curl_multi_setopt(transfers->multi, CURLMOPT_SOCKETDATA, transfers);
    curl_multi_setopt(transfers->multi, CURLMOPT_TIMERFUNCTION, on_timeout_wanted);
    curl_multi_setopt(transfers->multi, CURLMOPT_TIMERDATA, transfers);
    curl_multi_setopt(transfers->multi, CURLMOPT_MAXCONNECTS, 2L * connections);
    for (unsigned i = 0; i < connections; i++) {
        struct slot *slot = &transfers->slots[i];
        slot->transfers = transfers;
        rb_buf_init(&slot->body, RB_ANSWER_BYTES);
        slot->next = transfers->unused;
        transfers->unused = slot;
    }
    return transfers;
}

void rb_transfers_free(struct rb_transfers *transfers)
{
    if (!transfers)
        return;
    rb_transfers_stop(transfers);
    for (unsigned i = 0; i < transfers->connections; i++) {
        if (transfers->slots[i].easy)
            curl_easy_cleanup(transfers->slots[i].easy);
        rb_buf_deinit(&transfers->slots[i].body);
    }
    curl_multi_cleanup(transfers->multi);
    for (int fd = 0; fd < transfers->n_watches; fd++)
        if (transfers->watches[fd].event)
            event_free(transfers->watches[fd].event);
    event_free(transfers->timer);
    free(transfers->watches);
    free(transfers->slots);
    free(transfers);
}

static bool fill_post(struct slot *slot, const struct rb_call *call)
{
    CURL *easy = slot->easy;
    return curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_len) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->n_headers ? slot->list : NULL) == CURLE_OK;
}

static bool fill_mail(struct slot *slot, const struct rb_call *call)
{
    static const long tls[] = {[RB_MAIL_TLS_NONE] = CURLUSESSL_NONE,
                               [RB_MAIL_TLS_TRY] = CURLUSESSL_TRY,
                               [RB_MAIL_TLS_REQUIRE] = CURLUSESSL_ALL};
    const struct rb_mail *mail = &call->mail;
    CURL *easy = slot->easy;
    slot->upload = call->body;
    slot->upload_len = call->body_len;
    if ((size_t)snprintf(slot->rcpt, sizeof(slot->rcpt), "<%s>", mail->to) >= sizeof(slot->rcpt))
        return false;
    slot->list[0] = (struct curl_slist){.data = slot->rcpt};
    return curl_easy_setopt(easy, CURLOPT_MAIL_FROM, mail->from) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, &slot->list[0]) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERNAME, mail->user) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PASSWORD, mail->password) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USE_SSL, tls[mail->tls]) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->body_len) == CURLE_OK;
}

enum rb_err rb_transfers_start(struct rb_transfers *transfers, const struct rb_call *call, rb_answer_fn done,
                               void *ctx)
{
    struct slot *slot = transfers->unused;
    if (!slot)
        return RB_ERR_FULL;
    prepare(slot, call->mail.from != NULL);
    set_headers(slot, call);
    rb_buf_reset(&slot->body);
    slot->head_bytes = 0;
    slot->cut = slot->refused = false;
    slot->phase = RB_MAIL_GREETING;
    slot->started = rb_clock_mono();
    slot->done = done;
    slot->ctx = ctx;
    if (curl_easy_setopt(slot->easy, CURLOPT_URL, call->url) != CURLE_OK ||
        !(slot->is_mail ? fill_mail(slot, call) : fill_post(slot, call)) ||
        curl_multi_add_handle(transfers->multi, slot->easy) != CURLM_OK)
        return RB_ERR_NOMEM;
    transfers->unused = slot->next;
    transfers->running++;
    slot->running = true;
    return RB_OK;
}

void rb_transfers_stop(struct rb_transfers *transfers)
{
    struct rb_answer answer = {.err = RB_ERR_AWAY, .error = "cut off by our shutdown"};
    for (unsigned i = 0; i < transfers->connections; i++)
        if (transfers->slots[i].running)
            finish(&transfers->slots[i], &answer);
}

unsigned rb_transfers_running(const struct rb_transfers *transfers)
{
    return transfers->running;
}
