/*
 * The supervisor's start, loop and end. It opens no connection to a message server and has no threads: it
 * forks. Invariant: once started, it ends only when told to; no child, client, file or database makes it.
 */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/xalloc.h"
#include "supervisor/daemon.h"
#include "supervisor/notify.h"
#include "supervisor/reload.h"
#include "supervisor/spawn.h"
#include "supervisor/status.h"

#define TICK_MS PROTO_ALIVE_MS
/* A tick so late means that we were stopped or starved: nobody is blamed for silence meanwhile. */
#define LATE_TICK_MS 2000
/* Told to stop at once: so long may killed processes take to vanish. */
#define VANISH_MS 2000

/* ---- configuration ---- */

/* A topic is selected by its name, and a partition by that of its section too. */
static bool
names_topic(const char *name, const struct conf_topic *topic)
{
	return strcmp(name, topic->key) == 0 || strcmp(name, topic->group) == 0;
}

static bool
is_selected(const void *arg, const struct conf_topic *topic)
{
	const struct supervisor_options *options = arg;

	for (size_t i = 0; i < options->topic_count; i++)
		if (names_topic(options->topics[i], topic))
			return true;
	return false;
}

static bool
has_topic(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->topic_count; i++)
		if (names_topic(name, &conf->topics[i]))
			return true;
	return false;
}

void
supervisor_note_missing(const struct supervisor_options *options, const struct conf *conf)
{
	for (size_t i = 0; i < options->topic_count; i++)
		if (!has_topic(conf, options->topics[i]))
			log_warn("supervisor",
				 "reload: topic \"%s\" of the command line is no longer configured",
				 options->topics[i]);
}

void
supervisor_prepare_conf(const struct supervisor_options *options, struct conf *conf)
{
	if (options->debug)
		conf->loglevel = LOG_LEVEL_DEBUG;
	/* A daemon has no stderr, and its log must not go nowhere. */
	if (options->daemonize && conf->logfile[0] == '\0') {
		free(conf->logfile);
		conf->logfile = xstrdup("syslog");
	}
	if (options->topic_count == 0)
		return;
	/* What does not run here must not be campaigned for either. */
	conf_keep_topics(conf, is_selected, options);
	conf->heartbeat.set = false;
}

/* Names the first topic that does not exist, and those that do. */
static int
check_topics(const struct supervisor_options *options, const struct conf *conf)
{
	for (size_t i = 0; i < options->topic_count; i++) {
		if (has_topic(conf, options->topics[i]))
			continue;
		fprintf(stderr,
			"stream-replicator: topic \"%s\" is not in %s, which has:", options->topics[i],
			options->config_path);
		for (size_t k = 0; k < conf->topic_count; k++)
			fprintf(stderr, " %s", conf->topics[k].key);
		fprintf(stderr, "\n");
		return -1;
	}
	return 0;
}

/* NULL with the program's exit code in *rc, told on stderr. */
static struct conf *
load_conf(const struct supervisor_options *options, int *rc)
{
	struct conf_errors errors = {0};
	struct conf *conf = conf_load(options->config_path, &errors);

	for (size_t i = 0; i < errors.count; i++)
		fprintf(stderr, "%s\n", errors.text[i]);
	conf_errors_fini(&errors);
	*rc = PROTO_EXIT_PERMANENT;
	if (conf != NULL && check_topics(options, conf) != 0) {
		*rc = PROTO_EXIT_USAGE;
		conf_free(&conf);
	}
	if (conf != NULL)
		supervisor_prepare_conf(options, conf);
	return conf;
}

int
supervisor_open_log(struct supervisor *s, const struct conf *conf, struct error *e)
{
	(void)s;
	return log_open(conf->logfile, conf->logformat, conf->loglevel, e);
}

/* ---- events ---- */

static void
on_stopped(void *arg)
{
	struct supervisor *s = arg;

	event_base_loopbreak(s->base);
}

void
supervisor_stop(struct supervisor *s)
{
	if (s->at_once)
		return;
	if (!s->children.stopping) {
		log_info("supervisor", "stopping: workers settle what is in flight");
		notify_stopping();
		children_stop(&s->children);
		return;
	}
	log_warn("supervisor", "told to stop a second time: stopping at once");
	s->at_once = true;
	s->kill_deadline = mono_add_ms(mono_now(), VANISH_MS);
	children_kill(&s->children);
}

static void
reopen_log(void)
{
	struct error e = ERROR_INIT;

	if (log_reopen(&e) != 0)
		log_error("supervisor", "%s; the old file stays in use", e.text);
	else
		log_info("supervisor", "log reopened");
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct supervisor *s = arg;

	(void)what;
	switch (sig) {
	case SIGHUP:
		json_decref(reload_run(s));
		break;
	case SIGTERM:
	case SIGINT:
		supervisor_stop(s);
		break;
	case SIGUSR1:
		reopen_log();
		break;
	case SIGUSR2:
		status_log(s);
		break;
	case SIGCHLD:
		children_reap(&s->children);
		break;
	}
}

static void
grant_time(struct supervisor *s, struct mono now)
{
	int64_t late = mono_ms_between(s->last_tick, now) - TICK_MS;

	if (late > LATE_TICK_MS) {
		log_warn("supervisor", "held up for %.1f s: the machine is overloaded, or we were stopped",
			 (double)late / 1000);
		for (size_t i = 0; i < s->children.count; i++)
			child_grant_time(s->children.list[i], now, late);
	}
	s->last_tick = now;
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct supervisor *s = arg;
	struct mono now = mono_now();

	(void)fd;
	(void)what;
	grant_time(s, now);
	children_check(&s->children, now);
	store_tick(s->store, now);
	children_tell_stored(&s->children);
	if (s->at_once && mono_reached(now, s->kill_deadline))
		event_base_loopbreak(s->base);
}

/* ---- start and end ---- */

static int
watch_signals(struct supervisor *s, struct error *e)
{
	static const int signals[SUPERVISOR_SIGNALS] = {SIGHUP, SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGCHLD};

	for (size_t i = 0; i < SUPERVISOR_SIGNALS; i++) {
		s->signals[i] = evsignal_new(s->base, signals[i], on_signal, s);
		if (s->signals[i] == NULL || event_add(s->signals[i], NULL) != 0)
			return error_set(e, ERR_SYSTEM, "cannot watch for signal %d", signals[i]);
	}
	return 0;
}

static int
start_ticking(struct supervisor *s, struct error *e)
{
	static const struct timeval interval = {0, TICK_MS * 1000};

	s->last_tick = mono_now();
	s->tick = event_new(s->base, -1, EV_PERSIST, on_tick, s);
	if (s->tick == NULL || event_add(s->tick, &interval) != 0)
		return error_set(e, ERR_SYSTEM, "cannot make a timer");
	return 0;
}

static int
make_state_dir(const char *dir, struct error *e)
{
	if (mkdir(dir, 0750) != 0 && errno != EEXIST)
		return error_set_errno(e, ERR_SYSTEM, "state_dir \"%s\": cannot make it", dir);
	return 0;
}

static void
start_children(struct supervisor *s)
{
	for (size_t i = 0; i < s->jobs.count; i++)
		children_add(&s->children, &s->jobs.list[i]);
}

/* Order: what another running supervisor would hold is taken first, before anything of it is touched. */
static int
start(struct supervisor *s, const char *worker_path, struct error *e)
{
	s->base = event_base_new();
	if (s->base == NULL)
		return error_set(e, ERR_SYSTEM, "cannot make an event loop");
	if (s->options->pidfile != NULL && daemon_write_pidfile(s->options->pidfile, e) != 0)
		return -1;
	if (make_state_dir(s->conf->state_dir, e) != 0)
		return -1;
	s->control = control_new(s->base, s->conf->control_socket, verbs_answer, s, e);
	if (s->control == NULL || supervisor_open_log(s, s->conf, e) != 0)
		return -1;
	if (watch_signals(s, e) != 0 || start_ticking(s, e) != 0)
		return -1;
	s->store = store_new(s->conf->state_dir);
	children_init(&s->children, s->base, s->store, &s->jobs, worker_path, on_stopped, s);
	log_info("supervisor", "stream-replicator %s started, pid %d, site \"%s\", configuration %s",
		 SR_VERSION, (int)getpid(), s->conf->name, s->options->config_path);
	return 0;
}

static void
finish(struct supervisor *s)
{
	if (s->children.base != NULL)
		children_fini(&s->children);
	control_free(&s->control);
	store_free(&s->store);
	for (size_t i = 0; i < SUPERVISOR_SIGNALS; i++)
		if (s->signals[i] != NULL)
			event_free(s->signals[i]);
	if (s->tick != NULL)
		event_free(s->tick);
	if (s->base != NULL)
		event_base_free(s->base);
	daemon_remove_pidfile();
	log_close();
}

/* With a configuration that is valid, in the process that is to be the supervisor. */
static int
run(struct supervisor *s, const char *worker_path)
{
	struct error e = ERROR_INIT;
	int rc = EXIT_SUCCESS;

	if (start(s, worker_path, &e) != 0) {
		fprintf(stderr, "stream-replicator: %s\n", e.text);
		daemon_started(EXIT_FAILURE, "");
		rc = EXIT_FAILURE;
	} else {
		/* Before there are children: they must not hold what the starter reads from. */
		daemon_started(EXIT_SUCCESS, "");
		start_children(s);
		notify_ready();
		if (event_base_dispatch(s->base) < 0)
			rc = EXIT_FAILURE;
		log_info("supervisor", "stopped");
	}
	finish(s);
	return rc;
}

static void
prepare_process(void)
{
	sigset_t none;

	daemon_secure_stdio();
	notify_init();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file size limit is an error like a full disk */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(027);
}

int
supervisor_run(const struct supervisor_options *options)
{
	struct supervisor s = {.options = options, .started = mono_now()};
	struct error e = ERROR_INIT;
	char *worker_path = NULL;
	int rc;

	prepare_process();
	s.conf = load_conf(options, &rc);
	if (s.conf == NULL)
		return rc;
	jobs_make(&s.jobs, s.conf);
	worker_path = spawn_worker_path(&e);
	if (worker_path == NULL) {
		fprintf(stderr, "stream-replicator: %s\n", e.text);
		rc = EXIT_FAILURE;
	} else {
		if (options->daemonize)
			daemon_fork();
		rc = run(&s, worker_path);
	}
	free(worker_path);
	jobs_fini(&s.jobs);
	conf_free(&s.conf);
	return rc;
}
