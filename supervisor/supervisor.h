/* The supervisor: one process that keeps a worker at work for every topic of the configuration. */
#ifndef SR_SUPERVISOR_SUPERVISOR_H
#define SR_SUPERVISOR_SUPERVISOR_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/conf.h"
#include "supervisor/children.h"
#include "supervisor/control.h"
#include "supervisor/store.h"

enum {
	SUPERVISOR_SIGNALS = 6, /* HUP TERM INT USR1 USR2 CHLD */
};

struct supervisor_options {
	const char *config_path;
	const char *pidfile; /* NULL for none */
	char **topics;       /* topic_count of them; 0 for all */
	size_t topic_count;
	bool daemonize;
	bool debug; /* log level debug, whatever the file says */
};

struct supervisor {
	const struct supervisor_options *options; /* borrowed */
	struct event_base *base;
	struct conf *conf;
	struct jobs jobs; /* what conf asks for */
	struct store *store;
	struct control *control;
	struct children children;
	struct event *signals[SUPERVISOR_SIGNALS];
	struct event *tick;
	struct mono last_tick;
	struct mono started;
	struct mono kill_deadline; /* told to stop at once: how long processes may take to vanish */
	bool at_once;
};

/*
 * Runs until it is told to stop. Returns the exit code of the program: 0 after a stop, 1 if it could not
 * start or go on, 2 for a topic that does not exist, 78 for a configuration that cannot be used. What is
 * wrong before the log is open goes to stderr.
 */
int supervisor_run(const struct supervisor_options *options);

/* For the verbs and signals: */
/* Drains and ends; a second call ends at once. */
void supervisor_stop(struct supervisor *s);
/* Logs which topics of the command line the configuration does not have. */
void supervisor_note_missing(const struct supervisor_options *options, const struct conf *conf);
/* Applies the command line to a configuration that was just loaded: afterwards it has only what runs here. */
void supervisor_prepare_conf(const struct supervisor_options *options, struct conf *conf);
/* Opens the log as conf has it, if it is not open that way. On failure the old one stays. */
int supervisor_open_log(struct supervisor *s, const struct conf *conf, struct error *e);
/* The control socket's verbs; arg is the supervisor. */
json_t *verbs_answer(void *arg, const struct request *request);

#endif
