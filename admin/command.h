/* The command line of stream-replicator as values, and its help. */
#ifndef SR_ADMIN_COMMAND_H
#define SR_ADMIN_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COMMAND_DEFAULT_CONFIG SR_SYSCONFDIR "/stream-replicator/stream-replicator.conf"

/* Exit codes of the program. */
enum command_exit {
	COMMAND_EXIT_OK = 0,
	COMMAND_EXIT_FAILED = 1,
	COMMAND_EXIT_USAGE = 2,
	COMMAND_EXIT_CONFIG = 78,
};

enum command_verb {
	COMMAND_RUN,
	COMMAND_CHECK,
	COMMAND_STATUS,
	COMMAND_PAUSE,
	COMMAND_RESUME,
	COMMAND_RESTART,
	COMMAND_RELOAD,
	COMMAND_STOP,
	COMMAND_STEP_DOWN,
	COMMAND_VERIFY,
	COMMAND_STATE,
	COMMAND_ADVISORIES,
	COMMAND_GOSSIP,
	COMMAND_VERB_END
};

struct command {
	enum command_verb verb;
	const char *config;  /* path; the default if none was given */
	const char *socket;  /* path; NULL if none was given */
	const char *pidfile; /* NULL if none was given */
	char **topics;       /* topic_count of them: --topic, --topics, or $TOPICS */
	size_t topic_count;
	bool daemonize;
	bool debug;
	bool print;
	bool connect;
	bool json;
	bool watch;
	bool follow;
	bool advised;
	const char *topic; /* the operand: name of a topic, of an election for step-down, of a stream for
			      advisories */
	const char *value; /* state: regular expression; advisories: second operand; NULL if not given */
	int64_t since_ms;  /* since the epoch; 0 if not given */
	uint64_t from;     /* verify: source sequences, 0 where not given */
	uint64_t to;
};

/*
 * Reads the command line. env_topics: $TOPICS, may be NULL; it counts where no topic is named on the command
 * line. Returns -1 if the verb is to be done; else the program ends with the exit code that is returned:
 * help or version was printed to stdout, or what is wrong to stderr. Strings point into argv; free the rest
 * with command_fini().
 */
int command_parse(int argc, char **argv, const char *env_topics, struct command *c);
void command_fini(struct command *c);

const char *command_verb_name(enum command_verb verb);

#endif
