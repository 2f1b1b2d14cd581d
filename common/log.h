/*
 * One line an event on stderr: time, level, subject, words, key=value. Control characters are escaped here,
 * so a value can never start a line of its own. Personal details (phones, names, texts) are the caller's to
 * leave out; rb_log_phone gives the form that may be logged.
 */
#ifndef RB_COMMON_LOG_H
#define RB_COMMON_LOG_H

#include <stdbool.h>

#include "common/err.h"

enum rb_log_level { RB_LOG_ERROR, RB_LOG_WARNING, RB_LOG_INFO, RB_LOG_DEBUG };

/* Below this level nothing is written. Default RB_LOG_INFO. */
void rb_log_set_level(enum rb_log_level level);
enum rb_log_level rb_log_level(void);

/* "error", "warning", "info" or "debug"; RB_ERR_INVALID for anything else. */
enum rb_err rb_log_level_parse(const char *word, enum rb_log_level *level) RB_MUST_CHECK;

/* subject: one lower-case word, the room that speaks. fmt: words and key=value pairs, no trailing newline. */
void rb_log(enum rb_log_level level, const char *subject, const char *fmt, ...) RB_PRINTF(3, 4);

/* Writes the last two digits of a phone behind stars into out ("***34"); returns out. */
const char *rb_log_phone(const char *phone, char out[8]);

#define rb_error(subject, ...) rb_log(RB_LOG_ERROR, subject, __VA_ARGS__)
#define rb_warning(subject, ...) rb_log(RB_LOG_WARNING, subject, __VA_ARGS__)
#define rb_info(subject, ...) rb_log(RB_LOG_INFO, subject, __VA_ARGS__)
#define rb_debug(subject, ...) rb_log(RB_LOG_DEBUG, subject, __VA_ARGS__)

#endif
