/*
 * A command of the tool as a row of data, and one call of it: what was on the command line. Each command's
 * file offers its rows; main.c holds the table and parses the line with argp.
 */
#ifndef RB_TOOLS_RINGBACK_COMMAND_H
#define RB_TOOLS_RINGBACK_COMMAND_H

#include <stdbool.h>

#include "common/config.h"

#define COMMAND_OPTIONS 12 /* most options of its own that a command has */
#define COMMAND_ARGS 4     /* most arguments behind its words */

struct command_option {
    const char *name;  /* "area-code" for --area-code */
    const char *value; /* "CODE"; NULL: a switch */
    const char *help;
    bool required;
};

struct call {
    const struct command *command;
    const char *config_path; /* NULL: the usual places */
    const char *branch;      /* NULL: the only one */
    bool json;
    const char
        *option[COMMAND_OPTIONS]; /* as command->options; NULL: not given; "" also for a switch given */
    const char *args[COMMAND_ARGS];
    unsigned n_args;
    struct rb_config config;
};

struct command {
    const char *words; /* "branch add" */
    const char *args;  /* "CODE", for the usage line */
    unsigned least_args, most_args;
    bool json;                                      /* takes --json */
    struct command_option options[COMMAND_OPTIONS]; /* ends with a NULL name, or is full */
    const char *does;                               /* one sentence */
    const char *more;                               /* further help, or NULL */
    const char *example;
    int (*run)(const struct call *call); /* gives how the process ends: enum ending */
};

/* Each ends with a row without words. */
extern const struct command migrate_commands[];
extern const struct command branch_commands[];
extern const struct command gateway_commands[];
extern const struct command target_commands[];
extern const struct command import_commands[];
extern const struct command user_commands[];
extern const struct command retire_commands[];
extern const struct command reports_commands[];
extern const struct command send_commands[];
extern const struct command status_commands[];
extern const struct command notification_commands[];

#endif
