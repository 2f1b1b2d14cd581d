/*
 * The thread of hasher.h. It touches nothing but jobs: pointers to them go in through one pipe and come back
 * through another, on which the loop listens. There is no mutex: the loop would wait at one for a thread that
 * the kernel seldom lets run. Called by the log-in and the change of a password.
 */
#include "server/console/hasher.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/metrics.h"

/* As the administrator's tool makes them. */
enum { PASSES = 2, NICEST = 19 };
#define MEMORY ((size_t)19 << 20)
#define REST_MOST_US (RB_SECOND / 20)

_Static_assert(RB_PASSWORD_HASH_SIZE >= crypto_pwhash_STRBYTES, "a hash fits");

struct job {
    char hash[RB_PASSWORD_HASH_SIZE]; /* empty: nobody's */
    char password[RB_PASSWORD_MOST + 1];
    char next[RB_PASSWORD_MOST + 1]; /* empty: none */
    char fresh[RB_PASSWORD_HASH_SIZE];
    bool matches;
    bool left; /* not looked at: the hasher is being freed */
    rb_hasher_done_fn done;
    void *ctx;
};

struct pipe {
    int out;
    int in;
};

struct rb_hasher {
    pthread_t thread;
    struct pipe waiting; /* to the thread; its end ends the thread */
    struct pipe ready;   /* and back */
    struct event *readable;
    unsigned waits; /* not told yet: waiting, at work and ready */
    unsigned most;
    atomic_bool closing;
    struct rb_series *depth;
    char nobody[RB_PASSWORD_HASH_SIZE]; /* a hash that no password has, so that a guess costs the same */
};

/* A pointer fits into a pipe at once or not at all, and a pipe has room for thousands. */
static void hand(int pipe, struct job *job)
{
    ssize_t n;
    do
        n = write(pipe, &job, sizeof(job));
    while (n < 0 && errno == EINTR);
    RB_INVARIANT(n == sizeof(job));
}

/* NULL: nothing is there, or the other end is closed. */
static struct job *take(int pipe)
{
    struct job *job = NULL;
    ssize_t n;
    do
        n = read(pipe, &job, sizeof(job));
    while (n < 0 && errno == EINTR);
    return n == sizeof(job) ? job : NULL;
}

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

static int64_t used_us(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * RB_SECOND + used.tv_nsec / 1000;
}

/*
 * As long as the last password took, but not longer than that after its end: under a flood half a core stays
 * free, a lone log-in waits for nothing. A low priority alone does not do it: where the kernel groups
 * processes by session (autogroup), it counts only among our own.
 */
static void rest(int64_t until)
{
    int64_t left = until - rb_clock_mono();
    if (left > 0)
        usleep((useconds_t)(left < REST_MOST_US ? left : REST_MOST_US));
}

static void look_at(const struct rb_hasher *hasher, struct job *job, int64_t *rested)
{
    rest(*rested);
    int64_t before = used_us();
    work(hasher, job);
    *rested = rb_clock_mono() + used_us() - before;
}

static void *run(void *arg)
{
    struct rb_hasher *hasher = arg;
    struct job *job;
    int64_t rested = 0;
    char guess[] = "nobody has this password";
    lower_priority();
    randombytes_buf(guess, sizeof(guess) - 1);
    RB_INVARIANT(crypto_pwhash_str(hasher->nobody, guess, sizeof(guess) - 1, PASSES, MEMORY) == 0);
    while ((job = take(hasher->waiting.out))) {
        job->left = atomic_load(&hasher->closing);
        if (!job->left)
            look_at(hasher, job, &rested);
        hand(hasher->ready.in, job);
    }
    return NULL;
}

/* --- in the loop --- */

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct rb_hasher *hasher = arg;
    struct job *job;
    (void)what;
    while ((job = take(fd))) {
        rb_set(hasher->depth, --hasher->waits);
        job->done(job->ctx, job->left ? RB_ERR_AWAY : RB_OK, job->matches, *job->fresh ? job->fresh : NULL);
        free_job(job);
    }
}

static struct pipe open_pipe(void)
{
    int ends[2];
    RB_INVARIANT(pipe2(ends, O_CLOEXEC) == 0);
    return (struct pipe){.out = ends[0], .in = ends[1]};
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
    hasher->waiting = open_pipe();
    hasher->ready = open_pipe();
    evutil_make_socket_nonblocking(hasher->ready.out);
    hasher->readable = event_new(base, hasher->ready.out, EV_READ | EV_PERSIST, on_ready, hasher);
    RB_INVARIANT(hasher->readable && event_add(hasher->readable, NULL) == 0);
    start_thread(hasher);
    return hasher;
}

void rb_hasher_free(struct rb_hasher *hasher)
{
    if (!hasher)
        return;
    atomic_store(&hasher->closing, true);
    close(hasher->waiting.in);
    pthread_join(hasher->thread, NULL);
    on_ready(hasher->ready.out, EV_READ, hasher);
    event_free(hasher->readable);
    close(hasher->waiting.out);
    close(hasher->ready.in);
    close(hasher->ready.out);
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
    hand(hasher->waiting.in, job);
    return RB_OK;
}
