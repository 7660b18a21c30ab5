/*
 * The configuration as values: what the parser makes of the file, what the supervisor diffs on
 * reload, and what a worker gets back out of the text that its supervisor sent.
 *
 * Everything in a struct conf is owned by it; strings are never NULL unless the comment says so
 * (an option that was not set is "" or its default).
 */
#ifndef SR_COMMON_CONF_H
#define SR_COMMON_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/log.h"
#include "common/strbuf.h"

enum conf_target_writers { TARGET_WRITERS_AUTO, TARGET_WRITERS_EXCLUSIVE, TARGET_WRITERS_SHARED };
enum conf_on_source_reset { SOURCE_RESET_HALT, SOURCE_RESET_RESTART };
enum conf_on_target_reset { TARGET_RESET_RESTART, TARGET_RESET_CONTINUE, TARGET_RESET_HALT };
enum conf_on_reject { REJECT_HALT, REJECT_DEAD_LETTER, REJECT_SKIP };
enum conf_resume { RESUME_NONE, RESUME_TARGET, RESUME_CHECKPOINT, RESUME_SEQUENCE };

/* Where to start when neither target nor checkpoint nor ack floor knows. */
enum conf_start { START_ALL, START_SEQUENCE, START_TIME, START_DELTA, START_AT_END };

/* Names as they are written in the configuration; NULL for a value out of range. */
const char *conf_target_writers_name(enum conf_target_writers v);
const char *conf_on_source_reset_name(enum conf_on_source_reset v);
const char *conf_on_target_reset_name(enum conf_on_target_reset v);
const char *conf_on_reject_name(enum conf_on_reject v);

struct conf_tls {
	bool set; /* the section was there, or one was inherited: the most specific wins whole */
	char *ca;
	char *cert;
	char *key;
};

struct conf_rate {
	double msgs_per_second;  /* 0: no limit */
	double bytes_per_second; /* 0: no limit */
};

/* What names the sender of a message. */
enum conf_inspect { INSPECT_NONE, INSPECT_FIELD, INSPECT_HEADER, INSPECT_SUBJECT };
enum conf_advisory_cluster { ADVISORY_SOURCE, ADVISORY_TARGET };
enum conf_advisory_schema { ADVISORY_V2, ADVISORY_V1 };

struct conf_advisory {
	bool set;      /* the section was there */
	char *subject; /* %s is replaced by the event, %v by the value */
	enum conf_advisory_cluster cluster;
	bool reliable; /* a stream stores them: with acknowledgement, through the outbox */
	enum conf_advisory_schema schema;
};

struct conf_sampling {
	enum conf_inspect inspect; /* INSPECT_NONE: the topic copies every message */
	char *field;               /* INSPECT_FIELD: dotted path */
	char *header;              /* INSPECT_HEADER */
	int32_t subject_token;     /* INSPECT_SUBJECT: from 1, or -1 for the whole subject */
	char *force_field;         /* dotted path, "" for none */
	int64_t duration_ms;
	int64_t warn_ms;       /* below duration_ms; half of it by default */
	uint64_t size_trigger; /* bytes; 0: none */
	uint32_t max_values;   /* that are tracked; messages of more are all copied */
	bool gossip;           /* also true of every sampled topic that is elected */
	struct conf_advisory advisory;
};

struct conf_topic {
	char *key; /* the operator's name for it: title of the section, or <title>_P<number> of a partition */
	char *group; /* title of the section */

	/* source */
	char *source_url;
	char *source_domain; /* "" for none */
	char *stream;
	char **filter_subjects; /* filter_count of them; 0 for everything */
	size_t filter_count;
	enum conf_start start;
	uint64_t start_sequence; /* with START_SEQUENCE */
	int64_t start_time_ms;   /* with START_TIME: since the epoch */
	int64_t start_delta_ms;  /* with START_DELTA: before now */
	int64_t max_age_ms;      /* older messages are passed over; 0 for no limit */
	bool ephemeral;
	enum conf_on_source_reset on_source_reset;
	enum conf_resume resume_from;
	uint64_t resume_sequence; /* with RESUME_SEQUENCE: the next source sequence to copy */
	char *adopt;              /* "site:topic", "" for none */

	/* target */
	char *target_url;
	char *target_domain;
	char *target_stream;         /* defaults to stream */
	char *target_subject_prefix; /* "" for none */
	char *target_subject_remove; /* "" for none */
	bool no_target_create;
	enum conf_target_writers target_writers;
	char *target_name; /* name of the target's site, for loop prevention; "" if not known */
	enum conf_on_target_reset on_target_reset;
	enum conf_on_reject on_reject;
	char *dead_letter_subject;
	bool pass_rollup;

	struct conf_sampling sampling;

	/* election */
	char *leader_election_name; /* "" : not elected, works at all times */
	char *election_key;         /* key in the bucket; "" : leader_election_name */

	/* delivery */
	uint32_t max_inflight;       /* messages */
	uint64_t max_inflight_bytes; /* bytes */
	int64_t ack_timeout_ms;
	struct conf_rate rate_limit;
	char *name; /* consumer and worker name; defaults to <key>_<stream> with what a consumer name
		       cannot hold made '_' */

	/* security, resolved: source_tls else tls of the topic else tls of the file */
	struct conf_tls source_tls;
	struct conf_tls target_tls;
};

/* How the topics' elections are held. */
struct conf_election {
	bool set;     /* the section was there */
	char *url;    /* "" : with each topic's source */
	char *domain; /* JetStream domain of the bucket; with url "" by default the topic's source_domain */
	char *bucket;
	int64_t ttl_ms;    /* of a bucket that is made */
	uint32_t replicas; /* of a bucket that is made; 0: as many as the cluster allows, up to 3 */
	bool create;       /* make a missing bucket */
	/* With url: own section, else that of the file. Without it is empty: the topic's source_tls holds,
	 * or the heartbeat's. */
	struct conf_tls tls;
};

struct conf_header {
	char *name, *value;
};

struct conf_heartbeat_subject {
	char *subject;
	int64_t interval_ms;
	struct conf_header *headers; /* header_count of them: its own, then those of the section it has not */
	size_t header_count;
};

struct conf_heartbeat {
	bool set; /* the section was there */
	char *url;
	int64_t interval_ms; /* default of the subjects */
	bool leader_election;
	struct conf_tls tls; /* own section, else that of the file */
	struct conf_header *headers;
	size_t header_count;
	struct conf_heartbeat_subject *subjects; /* subject_count of them */
	size_t subject_count;
};

struct conf {
	char *path; /* file it was read from, "" for text */
	char *name; /* this site */
	char *state_dir;
	char *logfile; /* "" stderr, "syslog", or a path */
	enum log_level loglevel;
	enum log_format logformat;
	char *control_socket; /* path; defaulted from state_dir */
	int64_t stop_timeout_ms;
	struct conf_tls tls;
	struct conf_election election;
	struct conf_heartbeat heartbeat;
	struct conf_topic *topics; /* topic_count of them, in file order; each partition is one */
	size_t topic_count;
};

/* Problems found in a file, in the order of its lines. */
struct conf_errors {
	char **text; /* each "file:line: topic "x": setting: what is wrong, cure" */
	size_t count;
};
void conf_errors_fini(struct conf_errors *errors);

/*
 * Reads, includes and validates a file. Returns a configuration that the caller frees, or NULL with at
 * least one text in *errors (which the caller must conf_errors_fini() in any case). Never exits,
 * whatever the file holds.
 */
struct conf *conf_load(const char *path, struct conf_errors *errors);

/* The same from text, without include and environment: what a worker gets from its supervisor. */
struct conf *conf_load_text(const char *text, size_t len, struct conf_errors *errors);

/* Frees *c and nulls it. */
void conf_free(struct conf **c);

enum conf_print_mode {
	CONF_PRINT_MASKED, /* for people: secrets as "********"; parses to the same but for them */
	CONF_PRINT_SECRET, /* for a worker's pipe only */
};

/* Appends the effective configuration in the file's syntax. topic NULL: the whole of it; else the top
 * level and that topic alone, without election and heartbeat. Partitions are printed as the topics that they
 * are, so that each is its own group when it is read back. */
void conf_print(const struct conf *c, const struct conf_topic *topic, enum conf_print_mode mode,
		struct strbuf *out);

/* What the heartbeat's process is sent: the top level and that section, secrets as they are. */
void conf_print_heartbeat(const struct conf *c, struct strbuf *out);

/*
 * What an elector is sent of these topics, and of the heartbeat: only what has a part in elections or in the
 * maps, so that its text stays the same when anything else changes. Parses; secrets as they are.
 */
void conf_print_elections(const struct conf *c, const struct conf_topic *const *topics, size_t topic_count,
			  bool heartbeat, struct strbuf *out);

/* Leaves out every topic that keep() does not want, as if the file had not had it. */
void conf_keep_topics(struct conf *c, bool (*keep)(const void *arg, const struct conf_topic *topic),
		      const void *arg);

/* NULL if there is none of that name. */
const struct conf_topic *conf_find_topic(const struct conf *c, const char *key);

/*
 * What reload does with a topic: equal, changed in options a running worker need not be restarted for
 * (none yet), or changed so that its worker is replaced. Inherited top-level values count.
 */
bool conf_topic_equal(const struct conf *a, const struct conf_topic *ta, const struct conf *b,
		      const struct conf_topic *tb);

/* The same of the heartbeat: whether its process may stay as it is. */
bool conf_heartbeat_equal(const struct conf *a, const struct conf *b);

/*
 * 64-bit hash of all settings that decide which source message goes where (filters, mapping, names,
 * max_age, reject policy, …): as long as it is the same, the map from source messages to target slots
 * is the same.
 */
uint64_t conf_map_hash(const struct conf *c, const struct conf_topic *topic);

/*
 * Appends the names of top-level settings that differ and that a reload cannot apply, comma-separated;
 * nothing if there are none. Sections are not among them: topics and heartbeat are compared by the functions
 * above, electors by the text of election_plan_print().
 */
void conf_restart_needed(const struct conf *a, const struct conf *b, struct strbuf *out);

/* The reference part of stream-replicator.conf(5), made from the option table, as mdoc(7). */
void conf_write_manual(struct strbuf *out);

#endif
