/*
 * The line of progress.h. Called by the import. Writes nothing but that one line, over and over.
 */
#include "tools/ringback/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"

#define FIRST_AFTER RB_SECOND
#define EVERY (RB_SECOND / 10)
#define BAR 40

void progress_init(struct progress *progress)
{
    int64_t now = rb_clock_mono();
    *progress = (struct progress){.wanted = isatty(STDERR_FILENO) == 1, .started = now, .last = now};
}

void progress_show(struct progress *progress, const char *what, double share)
{
    static const char full[] = "########################################";
    int64_t now = rb_clock_mono();
    if (!progress->wanted || now - progress->started < FIRST_AFTER || now - progress->last < EVERY)
        return;
    int seconds = (int)((now - progress->started) / RB_SECOND);
    progress->last = now;
    progress->shown = true;
    if (share < 0)
        fprintf(stderr, "\r\033[K%-8s … %d s", what, seconds);
    else
        fprintf(stderr, "\r\033[K%-8s [%-*.*s] %3d %%  %d s", what, BAR, (int)(share * BAR), full,
                (int)(share * 100), seconds);
}

void progress_clear(struct progress *progress)
{
    if (progress->shown)
        fputs("\r\033[K", stderr);
    progress->shown = false;
}
