/*
 * The process of hashing.h. Of the daemon it has nothing but its memory as it was and one socket: no
 * listener, no database, no signal but the one that ends it. A thread of low priority would not do: where the
 * kernel shares time between sessions first (autogroup, the default), the priority of a thread counts only
 * among the daemon's own, and PostgreSQL would wait for passwords.
 */
#include "server/console/hashing.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/passwords.h"

enum { NICEST = 19 };
#define REST_MOST_US (RB_SECOND / 20)

_Static_assert(RB_PASSWORD_HASH_SIZE >= crypto_pwhash_STRBYTES, "a hash fits");

static char nobody[RB_PASSWORD_HASH_SIZE]; /* a hash that no password has, so that a guess costs the same */

static void make_nobody(void)
{
    char guess[] = "nobody has this password";
    randombytes_buf(guess, sizeof(guess) - 1);
    if (crypto_pwhash_str(nobody, guess, sizeof(guess) - 1, RB_ARGON_PASSES, RB_ARGON_MEMORY) != 0)
        _exit(1);
}

static void make_fresh(struct rb_hashing_answer *answer, const char *password)
{
    if (crypto_pwhash_str(answer->fresh, password, strlen(password), RB_ARGON_PASSES, RB_ARGON_MEMORY) != 0)
        answer->fresh[0] = '\0'; /* no memory: the old one stays */
}

static void work(const struct rb_hashing_job *job, struct rb_hashing_answer *answer)
{
    const char *hash = *job->hash ? job->hash : nobody;
    bool same = crypto_pwhash_str_verify(hash, job->password, strlen(job->password)) == 0;
    memset(answer, 0, sizeof(*answer));
    answer->matches = same && *job->hash;
    if (!answer->matches)
        return;
    if (*job->next)
        make_fresh(answer, job->next);
    else if (crypto_pwhash_str_needs_rehash(hash, RB_ARGON_PASSES, RB_ARGON_MEMORY) != 0)
        make_fresh(answer, job->password);
}

/* A session of its own is a group of its own for the kernel; its priority is the group's. Not there: the
 * process's counts. */
static void lower_priority(void)
{
    setsid();
    int group = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
    if (group >= 0) {
        if (write(group, "19", 2) != 2)
            errno = 0; /* such a kernel shares no time between groups */
        close(group);
    }
    setpriority(PRIO_PROCESS, 0, NICEST);
}

static int64_t used_us(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * RB_SECOND + used.tv_nsec / 1000;
}

/* As long as the last password took, but not longer than that after its end: under a flood of guesses half a
 * core stays free even where priorities count for little; a lone log-in waits for nothing. */
static void rest(int64_t until)
{
    int64_t left = until - rb_clock_mono();
    if (left > 0)
        usleep((useconds_t)(left < REST_MOST_US ? left : REST_MOST_US));
}

_Noreturn static void serve(int socket)
{
    struct rb_hashing_job job;
    struct rb_hashing_answer answer;
    int64_t rested = 0;
    make_nobody();
    for (;;) {
        ssize_t n = recv(socket, &job, sizeof(job), 0);
        if (n != sizeof(job))
            _exit(0); /* the daemon is gone */
        rest(rested);
        int64_t before = used_us();
        work(&job, &answer);
        rested = rb_clock_mono() + used_us() - before;
        sodium_memzero(&job, sizeof(job));
        if (send(socket, &answer, sizeof(answer), MSG_NOSIGNAL) != sizeof(answer))
            _exit(0);
    }
}

/* The daemon may be killed before this is said: then its end of the socket is closed. */
_Noreturn static void be_child(int socket)
{
    sigset_t none;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "ringback-hash");
    /* Whoever ends the daemon's group means the daemon, which ends us. */
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(socket, STDIN_FILENO) != STDIN_FILENO || close_range(STDERR_FILENO + 1, ~0U, 0) != 0)
        _exit(1);
    lower_priority();
    serve(STDIN_FILENO);
}

pid_t rb_hashing_start(int *socket)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return -1;
    pid_t child = fork();
    if (child == 0)
        be_child(ends[1]);
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return -1;
    }
    RB_INVARIANT(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
    *socket = ends[0];
    return child;
}
