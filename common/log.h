/*
 * The log. The supervisor owns it (file, stderr or syslog); a worker's lines go over its pipe to the
 * supervisor, so that there is one writer. Every line names role and topic.
 */
#ifndef SR_COMMON_LOG_H
#define SR_COMMON_LOG_H

#include <stdarg.h>
#include <stdbool.h>

#include "common/error.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

const char *log_level_name(enum log_level level);

/* Opens the log: path "" is stderr, "syslog" the system's log. On failure the old one stays. */
int log_open(const char *path, enum log_format format, enum log_level level, struct error *e);

/* Opens the same path again, after rotation. On failure the old file stays in use. */
int log_reopen(struct error *e);
void log_close(void);

/* A worker's log: each line is handed to sink instead; with sink NULL lines are dropped (the supervisor
 * that owned the log is gone). */
typedef void log_sink_fn(enum log_level level, const char *text, void *arg);
void log_to_sink(log_sink_fn *sink, void *arg, enum log_level level);

void log_set_level(enum log_level level);
bool log_wants(enum log_level level);

/* subject: "supervisor", or the topic's or worker's name; it becomes a field of the line. */
void log_line(enum log_level level, const char *subject, const char *text);
void log_f(enum log_level level, const char *subject, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(subject, ...) log_f(LOG_LEVEL_DEBUG, subject, __VA_ARGS__)
#define log_info(subject, ...)  log_f(LOG_LEVEL_INFO, subject, __VA_ARGS__)
#define log_warn(subject, ...)  log_f(LOG_LEVEL_WARN, subject, __VA_ARGS__)
#define log_error(subject, ...) log_f(LOG_LEVEL_ERROR, subject, __VA_ARGS__)

#endif
