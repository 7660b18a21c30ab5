/*
 * The command line: one table of verbs, one of options. Runs in the program of the user's commands, which is
 * the supervisor's as well; decides nothing but what was asked for. Whatever does not fit is named and
 * refused: an option that a verb does not have, a verb of a later release, an operand too many.
 */
#include "admin/command.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/units.h"
#include "common/xalloc.h"

#define PROGRAM "stream-replicator"

struct verb {
	const char *name;
	const char *operand;  /* NULL if it takes none */
	const char *optional; /* a second operand that may be left out; NULL for none */
	const char *summary;
	const char *help;
};

static const struct verb verbs[COMMAND_VERB_END] = {
    [COMMAND_RUN] =
	{"run", NULL, NULL, "replicate (what happens without a verb)",
	 "Runs the supervisor, which keeps a worker at work for every topic of the configuration. Without\n"
	 "--topic and --topics these are all topics, or those that the variable TOPICS lists.\n"
	 "Signals: HUP reloads, TERM and INT stop (a second one at once), USR1 reopens the log,\n"
	 "USR2 writes the status to the log."},
    [COMMAND_CHECK] =
	{"check", NULL, NULL, "validate the configuration",
	 "Reads the configuration and tells everything that is wrong with it, by file and line.\n"
	 "Exits 0 if it can be used, 78 if not."},
    [COMMAND_STATUS] = {"status", NULL, NULL, "show what every topic is doing",
			"Shows state, position, lag and speed of every topic. Exits 0 only if all is well."},
    [COMMAND_PAUSE] =
	{"pause", "TOPIC", NULL, "stop copying a topic until resume",
	 "Settles what is in flight and copies nothing more, also after a restart, until resume.\n"
	 "Returns when the topic is paused."},
    [COMMAND_RESUME] = {"resume", "TOPIC", NULL, "go on with a paused topic", "Undoes pause."},
    [COMMAND_RESTART] =
	{"restart", "TOPIC", NULL, "replace the worker of a topic",
	 "Lets the topic's worker settle what is in flight, and starts a new one in its place."},
    [COMMAND_RELOAD] =
	{"reload", NULL, NULL, "read the configuration again",
	 "Topics that are new, gone or changed are started, stopped or restarted; all others run on.\n"
	 "A file with errors changes nothing; the errors are printed."},
    [COMMAND_STOP] =
	{"stop", NULL, NULL, "stop replicating",
	 "Lets all workers settle what is in flight and ends the supervisor. Returns when it has ended."},
    [COMMAND_STEP_DOWN] =
	{"step-down", "NAME", NULL, "let another node lead an election",
	 "Hands the election of that name (leader_election_name) over: its topics settle what is in flight\n"
	 "here, and another node goes on. Refused if no other node stands for it. Returns when another node\n"
	 "leads and says which one; fails if nobody has taken over after 10 s. This node takes it\n"
	 "again only if nobody else does."},
    [COMMAND_VERIFY] =
	{"verify", "TOPIC", NULL, "compare source and target message by message",
	 "Reads both streams in order and compares subject, headers and body of every message.\n"
	 "Exits 0 only if they are equal."},
    [COMMAND_STATE] = {"state", NULL, NULL, "show the values of sampled topics",
		       "Shows for each value when it was last seen and copied, from state.db, which is a few "
		       "seconds behind.\n"
		       "Needs no running supervisor."},
    [COMMAND_ADVISORIES] =
	{"advisories", "STREAM", "VALUE", "show advisories that a stream holds",
	 "Reads the stream, which is looked for where the topics publish their advisories, from its start.\n"
	 "With VALUE only the advisories of that value are shown. Messages that are no advisories are "
	 "counted."},
    [COMMAND_GOSSIP] =
	{"gossip", NULL, NULL, "watch what replicators tell each other of sampled topics",
	 "Listens at the sources of all sampled topics and shows what is told as it comes, until Ctrl-C."},
};

/* Verbs that users may know from the manual of a later release. */
static const char *const later_verbs[] = {"enroll", "convert"};

enum option_id {
	OPTION_CONFIG = 256,
	OPTION_SOCKET,
	OPTION_TOPIC,
	OPTION_TOPICS,
	OPTION_PIDFILE,
	OPTION_DAEMONIZE,
	OPTION_DEBUG,
	OPTION_PRINT,
	OPTION_CONNECT,
	OPTION_JSON,
	OPTION_WATCH,
	OPTION_FROM,
	OPTION_TO,
	OPTION_VALUE,
	OPTION_SINCE,
	OPTION_ADVISED,
	OPTION_FOLLOW,
	OPTION_HELP,
	OPTION_VERSION,
};

#define VERB(v) (1u << (v))
#define ALL     (VERB(COMMAND_VERB_END) - 1)
/* Verbs that talk to a supervisor. */
#define TALKING                                                                                              \
	(VERB(COMMAND_STATUS) | VERB(COMMAND_PAUSE) | VERB(COMMAND_RESUME) | VERB(COMMAND_RESTART) |         \
	 VERB(COMMAND_RELOAD) | VERB(COMMAND_STOP) | VERB(COMMAND_STEP_DOWN))
/* Verbs whose answer programs may want to read. */
#define PRINTING                                                                                             \
	(VERB(COMMAND_STATUS) | VERB(COMMAND_STEP_DOWN) | VERB(COMMAND_VERIFY) | VERB(COMMAND_STATE) |       \
	 VERB(COMMAND_ADVISORIES) | VERB(COMMAND_GOSSIP))

struct rule {
	enum option_id id;
	const char *name;
	const char *argument; /* NULL if it takes none */
	unsigned verbs;       /* that have it */
	const char *help;
};

static const struct rule rules[] = {
    {OPTION_CONFIG, "config", "FILE", ALL, "configuration (default " COMMAND_DEFAULT_CONFIG ")"},
    {OPTION_SOCKET, "socket", "PATH", TALKING, "control socket, where it is not to be taken from --config"},
    {OPTION_TOPIC, "topic", "NAME", VERB(COMMAND_RUN) | VERB(COMMAND_STATE),
     "this topic only; may be given several times"},
    {OPTION_TOPICS, "topics", "\"A B\"", VERB(COMMAND_RUN), "the same for several topics at once"},
    {OPTION_PIDFILE, "pidfile", "FILE", VERB(COMMAND_RUN), "write the process id there, and hold it"},
    {OPTION_DAEMONIZE, "daemonize", NULL, VERB(COMMAND_RUN), "go into the background once started"},
    {OPTION_DEBUG, "debug", NULL, VERB(COMMAND_RUN), "log everything"},
    {OPTION_PRINT, "print", NULL, VERB(COMMAND_CHECK), "print the effective configuration, secrets masked"},
    {OPTION_CONNECT, "connect", NULL, VERB(COMMAND_CHECK),
     "reach both ends of every topic and tell what is there"},
    {OPTION_VALUE, "value", "REGEX", VERB(COMMAND_STATE),
     "only values in which this extended regular expression is found"},
    {OPTION_SINCE, "since", "TIME", VERB(COMMAND_STATE) | VERB(COMMAND_ADVISORIES),
     "only what was seen, or published, so long ago or later: 90m, 7d; or RFC 3339"},
    {OPTION_ADVISED, "advised", NULL, VERB(COMMAND_STATE), "only values that have fallen silent"},
    {OPTION_FOLLOW, "follow", NULL, VERB(COMMAND_ADVISORIES), "go on with new ones until Ctrl-C"},
    {OPTION_JSON, "json", NULL, PRINTING, "print JSON"},
    {OPTION_WATCH, "watch", NULL, VERB(COMMAND_STATUS), "show it again every second until Ctrl-C"},
    {OPTION_FROM, "from", "SEQ", VERB(COMMAND_VERIFY), "first source sequence to compare"},
    {OPTION_TO, "to", "SEQ", VERB(COMMAND_VERIFY), "last source sequence to compare"},
    {OPTION_HELP, "help", NULL, ALL, "show this"},
    {OPTION_VERSION, "version", NULL, ALL, "show the version"},
};
#define RULE_COUNT (sizeof rules / sizeof rules[0])

const char *
command_verb_name(enum command_verb verb)
{
	return (unsigned)verb < COMMAND_VERB_END ? verbs[verb].name : "?";
}

/* ---- help ---- */

static void
print_options(unsigned verb_mask)
{
	char left[64];

	printf("\nOptions:\n");
	for (size_t i = 0; i < RULE_COUNT; i++) {
		if ((rules[i].verbs & verb_mask) == 0)
			continue;
		snprintf(left, sizeof left, "--%s%s%s", rules[i].name, rules[i].argument != NULL ? " " : "",
			 rules[i].argument != NULL ? rules[i].argument : "");
		printf("  %-18s %s\n", left, rules[i].help);
	}
}

static void
print_verb_help(enum command_verb v)
{
	printf("Usage: " PROGRAM " %s%s%s", verbs[v].name, verbs[v].operand != NULL ? " " : "",
	       verbs[v].operand != NULL ? verbs[v].operand : "");
	if (verbs[v].optional != NULL)
		printf(" [%s]", verbs[v].optional);
	printf(" [OPTION]...\n\n%s\n", verbs[v].help);
	print_options(VERB(v));
}

static void
print_program_help(void)
{
	printf("Usage: " PROGRAM " [VERB] [OPTION]...\n\n"
	       "Copies messages from streams of one NATS system to streams of another, in order and exactly "
	       "once.\n\nVerbs:\n");
	for (size_t v = 0; v < COMMAND_VERB_END; v++)
		printf("  %-11s%-7s %s\n", verbs[v].name, verbs[v].operand != NULL ? verbs[v].operand : "",
		       verbs[v].summary);
	print_options(VERB(COMMAND_RUN));
	printf("\n`" PROGRAM " VERB --help` tells more about a verb.\n"
	       "Exit codes: 0 fine, 1 failed, 2 wrong usage, 78 configuration that cannot be used.\n");
}

static int __attribute__((format(printf, 1, 2))) usage(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, PROGRAM ": ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nTry `" PROGRAM " --help`.\n");
	return COMMAND_EXIT_USAGE;
}

/* ---- parsing ---- */

static void
add_topic(struct command *c, const char *name, size_t len)
{
	c->topics = xrealloc(c->topics, (c->topic_count + 1) * sizeof *c->topics);
	c->topics[c->topic_count++] = xstrndup(name, len);
}

/* Names between blanks. */
static void
add_topics(struct command *c, const char *names)
{
	static const char blanks[] = " \t\n";
	size_t len;

	for (names += strspn(names, blanks); *names != '\0'; names += strspn(names, blanks)) {
		len = strcspn(names, blanks);
		add_topic(c, names, len);
		names += len;
	}
}

static int
parse_sequence(const char *option, const char *text, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || *value == 0)
		return usage("--%s \"%s\": want a sequence, a number from 1", option, text);
	return -1;
}

/* So long ago, or a time. */
static int
parse_since(const char *text, int64_t *ms)
{
	int64_t now = wall_ms(), value;

	if (units_parse_duration(text, &value, NULL) == 0)
		*ms = value < now ? now - value : 1;
	else if (rfc3339_parse(text, &value) == 0 && value > 0)
		*ms = value / 1000000 > 0 ? value / 1000000 : 1;
	else
		return usage("--since \"%s\": want how long ago, like 90m or 7d, or a time like "
			     "2026-01-31T12:00:00Z",
			     text);
	return -1;
}

static int
take_option(struct command *c, int id, const char *value)
{
	switch ((enum option_id)id) {
	case OPTION_CONFIG:
		c->config = value;
		break;
	case OPTION_SOCKET:
		c->socket = value;
		break;
	case OPTION_TOPIC:
		add_topic(c, value, strlen(value));
		break;
	case OPTION_TOPICS:
		add_topics(c, value);
		break;
	case OPTION_PIDFILE:
		c->pidfile = value;
		break;
	case OPTION_DAEMONIZE:
		c->daemonize = true;
		break;
	case OPTION_DEBUG:
		c->debug = true;
		break;
	case OPTION_PRINT:
		c->print = true;
		break;
	case OPTION_CONNECT:
		c->connect = true;
		break;
	case OPTION_JSON:
		c->json = true;
		break;
	case OPTION_WATCH:
		c->watch = true;
		break;
	case OPTION_FROM:
		return parse_sequence("from", value, &c->from);
	case OPTION_TO:
		return parse_sequence("to", value, &c->to);
	case OPTION_VALUE:
		c->value = value;
		break;
	case OPTION_SINCE:
		return parse_since(value, &c->since_ms);
	case OPTION_ADVISED:
		c->advised = true;
		break;
	case OPTION_FOLLOW:
		c->follow = true;
		break;
	case OPTION_HELP:
	case OPTION_VERSION:
		break;
	}
	return -1;
}

static unsigned long
option_bit(int id)
{
	return 1ul << (id - OPTION_CONFIG);
}

static int
parse_options(int argc, char **argv, struct command *c, unsigned long *seen)
{
	struct option longopts[RULE_COUNT + 1] = {{0}};
	int id, rc;

	for (size_t i = 0; i < RULE_COUNT; i++)
		longopts[i] = (struct option){rules[i].name,
					      rules[i].argument != NULL ? required_argument : no_argument,
					      NULL, (int)rules[i].id};
	optind = 0; /* start anew, also for a second command line in one process */
	opterr = 0;
	while ((id = getopt_long(argc, argv, ":h", longopts, NULL)) != -1) {
		if (id == 'h')
			id = OPTION_HELP;
		if (id == ':')
			return usage("%s needs a value", argv[optind - 1]);
		if (id == '?')
			return usage("%s is no option", argv[optind - 1]);
		rc = take_option(c, id, optarg);
		if (rc >= 0)
			return rc;
		*seen |= option_bit(id);
	}
	return -1;
}

static int
find_verb(const char *name, struct command *c)
{
	for (int v = 0; v < COMMAND_VERB_END; v++) {
		if (strcmp(verbs[v].name, name) == 0) {
			c->verb = (enum command_verb)v;
			return -1;
		}
	}
	for (size_t i = 0; i < sizeof later_verbs / sizeof later_verbs[0]; i++) {
		if (strcmp(later_verbs[i], name) == 0) {
			fprintf(stderr, PROGRAM ": %s: not supported in this version\n", name);
			return COMMAND_EXIT_USAGE;
		}
	}
	return usage("%s is no verb", name);
}

static int
check_options(const struct command *c, unsigned long seen)
{
	for (size_t i = 0; i < RULE_COUNT; i++)
		if ((seen & option_bit((int)rules[i].id)) != 0 && (rules[i].verbs & VERB(c->verb)) == 0)
			return usage("--%s does not go with %s", rules[i].name, verbs[c->verb].name);
	if (c->print && c->connect)
		return usage("--print and --connect do not go together");
	if (c->json && c->watch)
		return usage("--json and --watch do not go together");
	if (c->to != 0 && c->from > c->to)
		return usage("--from is behind --to");
	return -1;
}

static const char *
operand_words(const char *operand)
{
	if (strcmp(operand, "NAME") == 0)
		return "election";
	return strcmp(operand, "STREAM") == 0 ? "stream" : "topic";
}

static int
take_operands(int argc, char **argv, struct command *c)
{
	const struct verb *verb = &verbs[c->verb];

	if (verb->operand != NULL) {
		if (optind >= argc)
			return usage("%s: which %s?", verb->name, operand_words(verb->operand));
		c->topic = argv[optind++];
	}
	if (verb->optional != NULL && optind < argc)
		c->value = argv[optind++];
	if (optind < argc)
		return usage("%s: \"%s\" is too much", verb->name, argv[optind]);
	return -1;
}

static int
answer_help(const struct command *c, unsigned long seen, bool verb_given)
{
	if ((seen & option_bit(OPTION_HELP)) != 0) {
		if (verb_given)
			print_verb_help(c->verb);
		else
			print_program_help();
		return COMMAND_EXIT_OK;
	}
	if ((seen & option_bit(OPTION_VERSION)) != 0) {
		printf(PROGRAM " %s\n", SR_VERSION);
		return COMMAND_EXIT_OK;
	}
	return -1;
}

int
command_parse(int argc, char **argv, const char *env_topics, struct command *c)
{
	unsigned long seen = 0;
	bool verb_given;
	int rc;

	*c = (struct command){.verb = COMMAND_RUN, .config = COMMAND_DEFAULT_CONFIG};
	/* First of all: a verb of a later release may come with options that mean nothing here. */
	if (argc > 1 && argv[1][0] != '-' && (rc = find_verb(argv[1], c)) >= 0)
		return rc;
	if ((rc = parse_options(argc, argv, c, &seen)) >= 0)
		return rc;
	verb_given = optind < argc;
	if (verb_given && (rc = find_verb(argv[optind++], c)) >= 0)
		return rc;
	if ((rc = answer_help(c, seen, verb_given)) >= 0 || (rc = check_options(c, seen)) >= 0 ||
	    (rc = take_operands(argc, argv, c)) >= 0)
		return rc;
	if (c->verb == COMMAND_RUN && c->topic_count == 0 && env_topics != NULL)
		add_topics(c, env_topics);
	return -1;
}

void
command_fini(struct command *c)
{
	for (size_t i = 0; i < c->topic_count; i++)
		free(c->topics[i]);
	free(c->topics);
	c->topics = NULL;
	c->topic_count = 0;
}
