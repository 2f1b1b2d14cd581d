/*
 * What can go wrong, in one enum for the whole house. A function that can fail returns enum rb_err and gives
 * its result through its last pointer. A broken invariant is no error: it aborts through RB_INVARIANT.
 */
#ifndef RB_COMMON_ERR_H
#define RB_COMMON_ERR_H

enum rb_err {
    RB_OK = 0,
    RB_ERR_NOMEM,     /* no memory */
    RB_ERR_INVALID,   /* the input is not what its format wants */
    RB_ERR_NOT_FOUND, /* nothing there by that name */
    RB_ERR_EXISTS,    /* something is there already */
    RB_ERR_FULL,      /* a bounded queue or buffer is at its cap */
    RB_ERR_TOO_LARGE, /* more than the limit for one item */
    RB_ERR_TIMEOUT,   /* its time ran out */
    RB_ERR_AWAY,      /* the database (or another peer) cannot be reached: nothing happened */
    RB_ERR_UNKNOWN,   /* the fate of a transaction is not known: ask again with the same key */
    RB_ERR_RETRY,     /* the database asks to run the whole transaction again */
    RB_ERR_DATA,      /* the database refuses the data: one of the items is at fault */
    RB_ERR_REFUSED,   /* not allowed */
    RB_ERR_IO,        /* the operating system says no; errno tells */
    RB_ERR_INTERNAL   /* a statement failed in a way that has no better name */
};

#define RB_MUST_CHECK __attribute__((warn_unused_result))
#define RB_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Returns a short lower-case word for logs, never NULL. */
const char *rb_err_name(enum rb_err err);

/* Ends the process with the invariant's text: for what cannot happen unless the code is wrong. */
#define RB_INVARIANT(cond) ((cond) ? (void)0 : rb_invariant_broken(#cond, __FILE__, __LINE__))
_Noreturn void rb_invariant_broken(const char *what, const char *file, int line);

#endif
