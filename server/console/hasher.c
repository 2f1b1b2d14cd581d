/*
 * The thread of hasher.h. It touches nothing but jobs: a queue under one mutex goes in, a queue comes back,
 * and an eventfd wakes the loop. Called by the log-in and the change of a password.
 */
#include "server/console/hasher.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"
#include "common/metrics.h"

/* As the administrator's tool makes them. */
enum { PASSES = 2, NICEST = 19 };
#define MEMORY ((size_t)19 << 20)

_Static_assert(RB_PASSWORD_HASH_SIZE >= crypto_pwhash_STRBYTES, "a hash fits");

struct job {
    TAILQ_ENTRY(job) link;
    char hash[RB_PASSWORD_HASH_SIZE]; /* empty: nobody's */
    char password[RB_PASSWORD_MOST + 1];
    char next[RB_PASSWORD_MOST + 1]; /* empty: none */
    char fresh[RB_PASSWORD_HASH_SIZE];
    bool matches;
    rb_hasher_done_fn done;
    void *ctx;
};
TAILQ_HEAD(jobs, job);

struct rb_hasher {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t more;
    struct jobs waiting;
    struct jobs ready;
    unsigned waits; /* not told yet: waiting, at work and ready */
    unsigned most;
    bool closing;
    int wake;
    struct event *woken;
    struct rb_series *depth;
    char nobody[RB_PASSWORD_HASH_SIZE]; /* a hash that no password has, so that a guess costs the same */
};

static void free_job(struct job *job)
{
    sodium_memzero(job, sizeof(*job));
    free(job);
}

/* --- in the thread --- */

static void make_fresh(struct job *job, const char *password)
{
    if (crypto_pwhash_str(job->fresh, password, strlen(password), PASSES, MEMORY) != 0)
        job->fresh[0] = '\0'; /* no memory: the old one stays */
}

static void work(const struct rb_hasher *hasher, struct job *job)
{
    const char *hash = *job->hash ? job->hash : hasher->nobody;
    bool same = crypto_pwhash_str_verify(hash, job->password, strlen(job->password)) == 0;
    job->matches = same && *job->hash;
    if (!job->matches)
        return;
    if (*job->next)
        make_fresh(job, job->next);
    else if (crypto_pwhash_str_needs_rehash(hash, PASSES, MEMORY) != 0)
        make_fresh(job, job->password);
}

/* In Linux this is of one thread. SCHED_IDLE would let a log-in wait for ever on a busy machine. */
static void lower_priority(void)
{
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICEST);
}

static struct job *next_job(struct rb_hasher *hasher)
{
    struct job *job = NULL;
    pthread_mutex_lock(&hasher->mutex);
    while (!hasher->closing && TAILQ_EMPTY(&hasher->waiting))
        pthread_cond_wait(&hasher->more, &hasher->mutex);
    if (!hasher->closing) {
        job = TAILQ_FIRST(&hasher->waiting);
        TAILQ_REMOVE(&hasher->waiting, job, link);
    }
    pthread_mutex_unlock(&hasher->mutex);
    return job;
}

static void give_back(struct rb_hasher *hasher, struct job *job)
{
    uint64_t one = 1;
    pthread_mutex_lock(&hasher->mutex);
    TAILQ_INSERT_TAIL(&hasher->ready, job, link);
    pthread_mutex_unlock(&hasher->mutex);
    while (write(hasher->wake, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

static void *run(void *arg)
{
    struct rb_hasher *hasher = arg;
    struct job *job;
    char guess[] = "nobody has this password";
    lower_priority();
    randombytes_buf(guess, sizeof(guess) - 1);
    RB_INVARIANT(crypto_pwhash_str(hasher->nobody, guess, sizeof(guess) - 1, PASSES, MEMORY) == 0);
    while ((job = next_job(hasher))) {
        work(hasher, job);
        give_back(hasher, job);
    }
    return NULL;
}

/* --- in the loop --- */

static void on_woken(evutil_socket_t fd, short what, void *arg)
{
    struct rb_hasher *hasher = arg;
    struct jobs ready = TAILQ_HEAD_INITIALIZER(ready);
    struct job *job;
    uint64_t count;
    (void)what;
    if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
        rb_error("console", "the hashing thread cannot be heard errno=%d", errno);
    pthread_mutex_lock(&hasher->mutex);
    TAILQ_CONCAT(&ready, &hasher->ready, link);
    pthread_mutex_unlock(&hasher->mutex);
    while ((job = TAILQ_FIRST(&ready))) {
        TAILQ_REMOVE(&ready, job, link);
        hasher->waits--;
        job->done(job->ctx, RB_OK, job->matches, *job->fresh ? job->fresh : NULL);
        free_job(job);
    }
    rb_set(hasher->depth, hasher->waits);
}

/* Signals are the loop's: the thread blocks them all. */
static void start_thread(struct rb_hasher *hasher)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    RB_INVARIANT(pthread_create(&hasher->thread, NULL, run, hasher) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct rb_hasher *rb_hasher_new(struct event_base *base, unsigned queue)
{
    static struct rb_metric *depth;
    struct rb_hasher *hasher = calloc(1, sizeof(*hasher));
    RB_INVARIANT(hasher != NULL);
    if (!depth)
        depth = rb_gauge("ringback_login_queue", "Passwords that wait for the hashing thread.", NULL);
    hasher->depth = rb_series(depth, NULL);
    hasher->most = queue;
    TAILQ_INIT(&hasher->waiting);
    TAILQ_INIT(&hasher->ready);
    pthread_mutex_init(&hasher->mutex, NULL);
    pthread_cond_init(&hasher->more, NULL);
    hasher->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    hasher->woken = event_new(base, hasher->wake, EV_READ | EV_PERSIST, on_woken, hasher);
    RB_INVARIANT(hasher->wake >= 0 && hasher->woken && event_add(hasher->woken, NULL) == 0);
    start_thread(hasher);
    return hasher;
}

static void drop(struct jobs *jobs)
{
    struct job *job;
    while ((job = TAILQ_FIRST(jobs))) {
        TAILQ_REMOVE(jobs, job, link);
        job->done(job->ctx, RB_ERR_AWAY, false, NULL);
        free_job(job);
    }
}

void rb_hasher_free(struct rb_hasher *hasher)
{
    if (!hasher)
        return;
    pthread_mutex_lock(&hasher->mutex);
    hasher->closing = true;
    pthread_cond_signal(&hasher->more);
    pthread_mutex_unlock(&hasher->mutex);
    pthread_join(hasher->thread, NULL);
    drop(&hasher->waiting);
    drop(&hasher->ready);
    event_free(hasher->woken);
    close(hasher->wake);
    pthread_mutex_destroy(&hasher->mutex);
    pthread_cond_destroy(&hasher->more);
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
    snprintf(job->hash, sizeof(job->hash), "%s", hash ? hash : "");
    strcpy(job->password, password);
    strcpy(job->next, next ? next : "");
    job->done = done;
    job->ctx = ctx;
    rb_set(hasher->depth, ++hasher->waits);
    pthread_mutex_lock(&hasher->mutex);
    TAILQ_INSERT_TAIL(&hasher->waiting, job, link);
    pthread_cond_signal(&hasher->more);
    pthread_mutex_unlock(&hasher->mutex);
    return RB_OK;
}
