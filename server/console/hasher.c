/*
 * The queue of hasher.h: one password at a time is with the process, the others wait here. A process that
 * dies takes the password it has with it, which is told to be tried again, and gets a successor. Called by
 * the log-in and the change of a password.
 */
#include "server/console/hasher.h"

#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "server/console/hashing.h"

#define RESTART_US RB_SECOND

struct job {
    TAILQ_ENTRY(job) link;
    struct rb_hashing_job asked;
    rb_hasher_done_fn done;
    void *ctx;
};
TAILQ_HEAD(jobs, job);

struct rb_hasher {
    struct event_base *base;
    struct jobs waiting; /* the first is with the process when sent is true */
    bool sent;
    unsigned waits;
    unsigned most;
    pid_t child; /* 0: none at the moment */
    int socket;
    struct event *readable;
    struct event *restart;
    struct event *kick; /* begins what was queued, one turn of the loop later */
    struct rb_series *depth;
};

static void end_first(struct rb_hasher *hasher, enum rb_err err, const struct rb_hashing_answer *answer)
{
    struct job *job = TAILQ_FIRST(&hasher->waiting);
    TAILQ_REMOVE(&hasher->waiting, job, link);
    hasher->sent = false;
    rb_set(hasher->depth, --hasher->waits);
    job->done(job->ctx, err, answer && answer->matches, answer && *answer->fresh ? answer->fresh : NULL);
    sodium_memzero(job, sizeof(*job));
    free(job);
}

static void start(struct rb_hasher *hasher);

/* It was killed, or there was no memory for it. */
static void lose(struct rb_hasher *hasher)
{
    struct timeval tv = {.tv_sec = RESTART_US / RB_SECOND};
    rb_warning("console", "the hashing process ended and is started again pid=%d", (int)hasher->child);
    event_free(hasher->readable);
    hasher->readable = NULL;
    close(hasher->socket);
    kill(hasher->child, SIGKILL);
    waitpid(hasher->child, NULL, 0);
    hasher->child = 0;
    event_add(hasher->restart, &tv);
    if (hasher->sent)
        end_first(hasher, RB_ERR_AWAY, NULL);
}

static void send_first(struct rb_hasher *hasher)
{
    struct job *job = TAILQ_FIRST(&hasher->waiting);
    if (!job || hasher->sent || !hasher->child)
        return;
    if (send(hasher->socket, &job->asked, sizeof(job->asked), MSG_NOSIGNAL) != sizeof(job->asked)) {
        lose(hasher);
        return;
    }
    hasher->sent = true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct rb_hasher *hasher = arg;
    struct rb_hashing_answer answer;
    (void)what;
    ssize_t n = recv(fd, &answer, sizeof(answer), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n != sizeof(answer) || !hasher->sent) {
        lose(hasher);
        return;
    }
    end_first(hasher, RB_OK, &answer);
    sodium_memzero(&answer, sizeof(answer));
    send_first(hasher);
}

static void on_kick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    send_first(arg);
}

static void on_restart(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    start(arg);
    send_first(arg);
}

static void start(struct rb_hasher *hasher)
{
    struct timeval tv = {.tv_sec = RESTART_US / RB_SECOND};
    pid_t child = rb_hashing_start(&hasher->socket);
    if (child < 0) {
        rb_error("console", "nobody can log in: the hashing process cannot be started: %m");
        event_add(hasher->restart, &tv);
        return;
    }
    hasher->child = child;
    hasher->readable = event_new(hasher->base, hasher->socket, EV_READ | EV_PERSIST, on_readable, hasher);
    RB_INVARIANT(hasher->readable && event_add(hasher->readable, NULL) == 0);
}

struct rb_hasher *rb_hasher_new(struct event_base *base, unsigned queue)
{
    static struct rb_metric *depth;
    struct rb_hasher *hasher = calloc(1, sizeof(*hasher));
    RB_INVARIANT(hasher != NULL);
    if (!depth)
        depth = rb_gauge("ringback_login_queue", "Passwords that wait for the hashing process.", NULL);
    hasher->depth = rb_series(depth, NULL);
    hasher->base = base;
    hasher->most = queue;
    TAILQ_INIT(&hasher->waiting);
    hasher->restart = evtimer_new(base, on_restart, hasher);
    hasher->kick = evtimer_new(base, on_kick, hasher);
    RB_INVARIANT(hasher->restart && hasher->kick);
    start(hasher);
    return hasher;
}

void rb_hasher_free(struct rb_hasher *hasher)
{
    if (!hasher)
        return;
    if (hasher->child) {
        event_free(hasher->readable);
        close(hasher->socket);
        kill(hasher->child, SIGKILL);
        waitpid(hasher->child, NULL, 0);
    }
    while (!TAILQ_EMPTY(&hasher->waiting))
        end_first(hasher, RB_ERR_AWAY, NULL);
    event_free(hasher->restart);
    event_free(hasher->kick);
    free(hasher);
}

enum rb_err rb_hasher_verify(struct rb_hasher *hasher, const char *hash, const char *password,
                             const char *next, rb_hasher_done_fn done, void *ctx)
{
    if (strlen(password) > RB_PASSWORD_MOST || (next && strlen(next) > RB_PASSWORD_MOST))
        return RB_ERR_TOO_LARGE;
    if (hasher->waits >= hasher->most)
        return RB_ERR_FULL;
    struct job *job = calloc(1, sizeof(*job));
    RB_INVARIANT(job != NULL);
    snprintf(job->asked.hash, sizeof(job->asked.hash), "%s", hash ? hash : "");
    strcpy(job->asked.password, password);
    strcpy(job->asked.next, next ? next : "");
    job->done = done;
    job->ctx = ctx;
    TAILQ_INSERT_TAIL(&hasher->waiting, job, link);
    rb_set(hasher->depth, ++hasher->waits);
    event_active(hasher->kick, 0, 0);
    return RB_OK;
}
