/*
 * The log: file, stderr, syslog, or a sink (a worker's pipe). Used by every process; one line is one
 * write(2), so that lines of several writers to one file do not mix. A line that cannot be written is
 * lost: the log must never stop the process that keeps the copies going.
 */
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/strbuf.h"
#include "common/text.h"
#include "common/xalloc.h"

enum destination { TO_STDERR, TO_FILE, TO_SYSLOG, TO_SINK };

static struct {
	enum destination to;
	enum log_format format;
	enum log_level level;
	int fd;     /* of TO_FILE */
	char *path; /* of TO_FILE */
	log_sink_fn *sink;
	void *sink_arg;
	struct strbuf line;
	struct strbuf text;
} logger = {.to = TO_STDERR, .format = LOG_FORMAT_TEXT, .level = LOG_LEVEL_INFO, .fd = -1};

const char *
log_level_name(enum log_level level)
{
	static const char *const names[] = {
	    [LOG_LEVEL_DEBUG] = "debug",
	    [LOG_LEVEL_INFO] = "info",
	    [LOG_LEVEL_WARN] = "warn",
	    [LOG_LEVEL_ERROR] = "error",
	};

	return (size_t)level < sizeof names / sizeof names[0] ? names[level] : "?";
}

static int
open_file(const char *path, struct error *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);

	if (fd < 0)
		return error_set_errno(e, ERR_SYSTEM, "logfile \"%s\": cannot open it", path);
	return fd;
}

/* Leaves what was open before; the caller has the new destination ready. */
static void
set_destination(enum destination to, int fd, char *path)
{
	if (logger.fd >= 0)
		close(logger.fd);
	if (logger.to == TO_SYSLOG && to != TO_SYSLOG)
		closelog();
	free(logger.path);
	logger.to = to;
	logger.fd = fd;
	logger.path = path;
}

int
log_open(const char *path, enum log_format format, enum log_level level, struct error *e)
{
	int fd;

	if (strcmp(path, "") == 0) {
		set_destination(TO_STDERR, -1, NULL);
	} else if (strcmp(path, "syslog") == 0) {
		set_destination(TO_SYSLOG, -1, NULL);
		openlog("stream-replicator", LOG_PID, LOG_DAEMON);
	} else {
		fd = open_file(path, e);
		if (fd < 0)
			return -1;
		set_destination(TO_FILE, fd, xstrdup(path));
	}
	logger.format = format;
	logger.level = level;
	return 0;
}

int
log_reopen(struct error *e)
{
	int fd;

	if (logger.to != TO_FILE)
		return 0;
	fd = open_file(logger.path, e);
	if (fd < 0)
		return -1;
	close(logger.fd);
	logger.fd = fd;
	return 0;
}

void
log_close(void)
{
	set_destination(TO_STDERR, -1, NULL);
	strbuf_fini(&logger.line);
	strbuf_fini(&logger.text);
}

void
log_to_sink(log_sink_fn *sink, void *arg, enum log_level level)
{
	set_destination(TO_SINK, -1, NULL);
	logger.sink = sink;
	logger.sink_arg = arg;
	logger.level = level;
}

void
log_set_level(enum log_level level)
{
	logger.level = level;
}

bool
log_wants(enum log_level level)
{
	return level >= logger.level;
}

static int
syslog_priority(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_DEBUG:
		return LOG_DEBUG;
	case LOG_LEVEL_INFO:
		return LOG_INFO;
	case LOG_LEVEL_WARN:
		return LOG_WARNING;
	case LOG_LEVEL_ERROR:
		return LOG_ERR;
	}
	return LOG_ERR;
}

static void
format_text(enum log_level level, const char *time, const char *subject, const char *text)
{
	if (logger.to != TO_SYSLOG)
		strbuf_addf(&logger.line, "%s %-5s ", time, log_level_name(level));
	strbuf_addf(&logger.line, "%s: %s", subject, text);
}

static void
format_json(enum log_level level, const char *time, const char *subject, const char *text)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "time", time, "level", log_level_name(level), "subject",
			      subject, "msg", text);
	char *dumped = json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER);

	strbuf_adds(&logger.line, dumped != NULL ? dumped : "{}");
	free(dumped);
	json_decref(o);
}

static void
write_line(int fd)
{
	ssize_t n;

	strbuf_adds(&logger.line, "\n");
	do {
		n = write(fd, logger.line.data, logger.line.len);
	} while (n < 0 && errno == EINTR);
}

static void
emit(enum log_level level, const char *subject, const char *text)
{
	char time[RFC3339_SIZE];

	if (logger.line.data == NULL)
		strbuf_init(&logger.line);
	strbuf_reset(&logger.line);
	rfc3339_format(time, sizeof time, wall_ms());
	if (logger.format == LOG_FORMAT_JSON)
		format_json(level, time, subject, text);
	else
		format_text(level, time, subject, text);
	if (logger.to == TO_SYSLOG)
		syslog(syslog_priority(level), "%s", logger.line.data);
	else
		write_line(logger.to == TO_FILE ? logger.fd : STDERR_FILENO);
}

void
log_line(enum log_level level, const char *subject, const char *text)
{
	struct strbuf clean_subject;

	if (!log_wants(level))
		return;
	if (logger.to == TO_SINK) {
		if (logger.sink != NULL)
			logger.sink(level, text, logger.sink_arg);
		return;
	}
	if (logger.text.data == NULL)
		strbuf_init(&logger.text);
	strbuf_reset(&logger.text);
	text_clean(&logger.text, text, strlen(text));
	strbuf_init(&clean_subject);
	text_clean(&clean_subject, subject, strlen(subject));
	emit(level, clean_subject.data, logger.text.data);
	strbuf_fini(&clean_subject);
}

void
log_f(enum log_level level, const char *subject, const char *fmt, ...)
{
	struct strbuf text;
	va_list ap;
	int saved = errno;

	if (!log_wants(level))
		return;
	strbuf_init(&text);
	va_start(ap, fmt);
	strbuf_vaddf(&text, fmt, ap);
	va_end(ap);
	log_line(level, subject, text.data);
	strbuf_fini(&text);
	errno = saved;
}
