/*
 * The option table. A setting of the contract that this version cannot do yet is here too, marked, so that it
 * is refused by name and never taken for a typing error or ignored.
 */
#include "common/conf_options.h"

#include <string.h>

#include "common/array.h"
#include "common/conf_value.h"
#include "common/subject.h"

static const char *const loglevels[] = {"debug", "info", "warn", "error", NULL};
static const char *const logformats[] = {"text", "json", NULL};
static const char *const source_resets[] = {"halt", "restart", NULL};
static const char *const target_resets[] = {"restart", "continue", "halt", NULL};
static const char *const target_writers[] = {"auto", "exclusive", "shared", NULL};
static const char *const rejects[] = {"halt", "dead_letter", "skip", NULL};
static const char *const advisory_clusters[] = {"source", "target", NULL};
static const char *const advisory_schemas[] = {"v2", "v1", NULL};

_Static_assert(LOG_LEVEL_ERROR == 3 && LOG_FORMAT_JSON == 1, "names of log levels and formats");
_Static_assert(SOURCE_RESET_RESTART == 1 && TARGET_RESET_HALT == 2, "names of resets");
_Static_assert(TARGET_WRITERS_SHARED == 2 && REJECT_SKIP == 2, "names of writers and rejects");
_Static_assert(ADVISORY_TARGET == 1 && ADVISORY_V1 == 1, "names of clusters and schemas");

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define DAY_MS    (24 * 60 * MINUTE_MS)
#define CENTURY   (36500 * DAY_MS)

#define TOP(field) .kind = CONF_TOP, .offset = offsetof(struct conf, field)
#define TOPIC(field)                                                                                         \
	.kind = CONF_TOPIC, .reload = CONF_RELOAD_WORKER, .offset = offsetof(struct conf_topic, field)
#define TLS(field) .kind = CONF_TLS, .reload = CONF_RELOAD_WORKER, .offset = offsetof(struct conf_tls, field)
#define ELECTION(field)                                                                                      \
	.kind = CONF_ELECTION, .reload = CONF_RELOAD_WORKER, .offset = offsetof(struct conf_election, field)
#define HEARTBEAT(field)                                                                                     \
	.kind = CONF_HEARTBEAT, .reload = CONF_RELOAD_WORKER, .offset = offsetof(struct conf_heartbeat, field)
#define HEADER(field)                                                                                        \
	.kind = CONF_HEARTBEAT_HEADER, .reload = CONF_RELOAD_WORKER,                                         \
	.offset = offsetof(struct conf_header, field)
#define SUBJECT(field)                                                                                       \
	.kind = CONF_HEARTBEAT_SUBJECT, .reload = CONF_RELOAD_WORKER,                                        \
	.offset = offsetof(struct conf_heartbeat_subject, field)
/* Its fields are among those of the topic. */
#define ADVISORY(field)                                                                                      \
	.kind = CONF_ADVISORY, .reload = CONF_RELOAD_WORKER, .offset = offsetof(struct conf_topic, field)
#define LATER(section, key)                                                                                  \
	{                                                                                                    \
		.kind = section, .name = key, .type = &conf_type_text, .flags = CONF_LATER                   \
	}

const struct conf_option conf_options[] = {
    {TOP(name), .name = "name", .type = &conf_type_site, .flags = CONF_REQUIRED | CONF_ELECT,
     .reload = CONF_RELOAD_WORKER, .doc = "Name of this site, as it stands in the headers of the copies."},
    {TOP(state_dir), .name = "state_dir", .type = &conf_type_path,
     .initial = SR_LOCALSTATEDIR "/lib/stream-replicator", .flags = CONF_REQUIRED,
     .reload = CONF_RELOAD_RESTART, .doc = "Folder of state.db and the control socket."},
    {TOP(logfile), .name = "logfile", .type = &conf_type_path, .initial = "", .reload = CONF_RELOAD_LIVE,
     .doc = "File of the log; empty for standard error, syslog for the log of the system."},
    {TOP(loglevel), .name = "loglevel", .type = &conf_type_choice, .initial = "info", .choices = loglevels,
     .reload = CONF_RELOAD_LIVE,
     .doc = "Least weight of what is logged. Running workers keep theirs until they start anew."},
    {TOP(logformat), .name = "logformat", .type = &conf_type_choice, .initial = "text", .choices = logformats,
     .reload = CONF_RELOAD_LIVE, .doc = "Form of the log's lines."},
    {TOP(control_socket), .name = "control_socket", .type = &conf_type_path, .reload = CONF_RELOAD_LIVE,
     .doc = "Path of the control socket, by default control.sock in state_dir."},
    {TOP(stop_timeout_ms), .name = "stop_timeout", .type = &conf_type_duration, .initial = "10s", .min = 100,
     .max = 10 * MINUTE_MS, .reload = CONF_RELOAD_LIVE,
     .doc = "How long workers may take to settle what is in flight when the daemon stops."},
    LATER(CONF_TOP, "monitor"),

    /* source */
    {TOPIC(source_url), .name = "source_url", .type = &conf_type_url, .flags = CONF_REQUIRED | CONF_ELECT,
     .doc = "Servers of the source, comma-separated, with options: see URLS."},
    {TOPIC(source_domain), .name = "source_domain", .type = &conf_type_name, .flags = CONF_ELECT,
     .doc = "JetStream domain of the source."},
    {TOPIC(stream), .name = "stream", .type = &conf_type_name, .flags = CONF_REQUIRED | CONF_MAP,
     .doc = "Stream to copy from."},
    {.kind = CONF_TOPIC,
     .name = "filter_subject",
     .type = &conf_type_filters,
     .flags = CONF_MAP | CONF_PARTITION,
     .reload = CONF_RELOAD_WORKER,
     .doc =
	 "Only messages whose subject matches this filter, or one of a list of filters, are copied. Filters "
	 "of a list may not overlap."},
    {TOPIC(start_sequence), .name = "start_sequence", .type = &conf_type_start_sequence, .min = 1,
     .max = INT64_MAX,
     .doc = "First source sequence to copy, where nothing tells of an earlier copy. The four start settings "
	    "exclude each other; without one, everything is copied."},
    {TOPIC(start_time_ms), .name = "start_time", .type = &conf_type_start_time,
     .doc = "Copy what was stored at this time (RFC 3339) or later."},
    {TOPIC(start_delta_ms), .name = "start_delta", .type = &conf_type_start_delta, .min = 1, .max = CENTURY,
     .doc = "Copy what was stored so long ago or later."},
    {.kind = CONF_TOPIC,
     .name = "start_at_end",
     .type = &conf_type_start_at_end,
     .reload = CONF_RELOAD_WORKER,
     .doc = "Copy only what is stored from now on."},
    {TOPIC(max_age_ms), .name = "max_age", .type = &conf_type_duration, .max = CENTURY, .flags = CONF_MAP,
     .doc = "Messages older than this are passed over and counted; 0s for no limit."},
    {TOPIC(ephemeral), .name = "ephemeral", .type = &conf_type_bool, .initial = "false",
     .doc = "Copy all at every start and keep no position, as for the stream of a key-value bucket."},
    {TOPIC(on_source_reset), .name = "on_source_reset", .type = &conf_type_choice, .initial = "halt",
     .choices = source_resets,
     .doc =
	 "What to do when the source stream was made anew or went back: stop and wait for a person, or copy "
	 "from its start."},
    {.kind = CONF_TOPIC,
     .name = "resume_from",
     .type = &conf_type_resume,
     .reload = CONF_RELOAD_WORKER,
     .doc =
	 "Answers a halt that asks where to go on: at what the target holds, at the checkpoint, or with this "
	 "source sequence. Take it out after that start."},
    {TOPIC(adopt), .name = "adopt", .type = &conf_type_adopt,
     .doc = "Take copies of another site and topic, written site:topic, for one's own: after a change of "
	    "names."},

    /* target */
    {TOPIC(target_url), .name = "target_url", .type = &conf_type_url,
     .flags = CONF_REQUIRED | CONF_ELECT | CONF_PARTITION, .doc = "Servers of the target, like source_url."},
    {TOPIC(target_domain), .name = "target_domain", .type = &conf_type_name,
     .flags = CONF_ELECT | CONF_PARTITION, .doc = "JetStream domain of the target."},
    {TOPIC(target_stream), .name = "target_stream", .type = &conf_type_name,
     .flags = CONF_MAP | CONF_PARTITION,
     .doc = "Stream to copy to, by default one of the same name as the source's."},
    {TOPIC(target_subject_prefix), .name = "target_subject_prefix", .type = &conf_type_prefix,
     .flags = CONF_MAP | CONF_PARTITION, .doc = "Put before each subject, with a dot."},
    {TOPIC(target_subject_remove), .name = "target_subject_remove", .type = &conf_type_remove,
     .flags = CONF_MAP | CONF_PARTITION,
     .doc = "Deleted from each subject wherever it occurs, after the prefix was put; two dots in a row "
	    "become one "
	    "then."},
    {TOPIC(no_target_create), .name = "no_target_create", .type = &conf_type_bool, .initial = "false",
     .doc = "Do not make a missing target stream."},
    {TOPIC(target_writers), .name = "target_writers", .type = &conf_type_choice, .initial = "auto",
     .choices = target_writers,
     .doc =
	 "Whether others write to the target stream as well. With auto the topic begins as the only writer "
	 "and turns to shared when it sees a message of another."},
    {TOPIC(target_name), .name = "target_name", .type = &conf_type_site, .flags = CONF_MAP | CONF_PARTITION,
     .doc = "Site name of the target: messages that have been there are not sent back."},
    {TOPIC(on_target_reset), .name = "on_target_reset", .type = &conf_type_choice, .initial = "restart",
     .choices = target_resets,
     .doc = "What to do when the target stream was made anew: fill it again, go on behind the checkpoint, or "
	    "stop "
	    "and wait for a person."},
    {TOPIC(on_reject), .name = "on_reject", .type = &conf_type_choice, .initial = "halt", .choices = rejects,
     .flags = CONF_MAP,
     .doc =
	 "What to do with a message that the target can never store: stop and wait for a person, send it to "
	 "dead_letter_subject, or pass it over."},
    {TOPIC(dead_letter_subject), .name = "dead_letter_subject", .type = &conf_type_subject,
     .flags = CONF_MAP | CONF_PARTITION,
     .doc = "Subject on the target system for rejected messages; a stream must store it."},
    {TOPIC(pass_rollup), .name = "pass_rollup", .type = &conf_type_bool, .initial = "false",
     .flags = CONF_MAP,
     .doc = "Keep Nats-Rollup headers where the target allows rollup; they delete messages there."},

    /* sampling */
    {TOPIC(sampling.field), .name = "inspect_field", .type = &conf_type_inspect_field,
     .flags = CONF_MAP | CONF_SAMPLED,
     .doc = "Copy only samples: of the messages with the same value in this field of their JSON, one in "
	    "inspect_duration. A dotted path, as in data.host. See SAMPLING, also for the two settings that "
	    "can stand in its place."},
    {TOPIC(sampling.field), .name = "inspect", .type = &conf_type_inspect_field, .flags = CONF_OLD,
     .same_as = "inspect_field", .doc = "Old name of inspect_field."},
    {TOPIC(sampling.header), .name = "inspect_header", .type = &conf_type_inspect_header,
     .flags = CONF_MAP | CONF_SAMPLED, .doc = "The same by the value of this header."},
    {TOPIC(sampling.subject_token), .name = "inspect_subject_token", .type = &conf_type_inspect_token,
     .min = 1, .max = SUBJECT_MAX / 2, .flags = CONF_MAP | CONF_SAMPLED,
     .doc = "The same by this word of the subject, counted from 1; -1 for the whole subject."},
    {TOPIC(sampling.force_field), .name = "inspect_force_field", .type = &conf_type_json_path,
     .flags = CONF_MAP | CONF_SAMPLED,
     .doc = "Copy a message in any case in whose JSON this field, a dotted path, is true."},
    {TOPIC(sampling.force_field), .name = "update_flag", .type = &conf_type_json_path, .flags = CONF_OLD,
     .same_as = "inspect_force_field", .doc = "Old name of inspect_force_field."},
    {TOPIC(sampling.duration_ms), .name = "inspect_duration", .type = &conf_type_duration, .min = SECOND_MS,
     .max = CENTURY, .flags = CONF_MAP | CONF_SAMPLED,
     .doc = "How often a message of each value is copied, less up to a tenth that differs by the value, and "
	    "how long a value that is not seen is remembered. Required for sampling."},
    {TOPIC(sampling.duration_ms), .name = "age", .type = &conf_type_duration, .min = SECOND_MS,
     .max = CENTURY, .flags = CONF_OLD, .same_as = "inspect_duration",
     .doc = "Old name of inspect_duration."},
    {TOPIC(sampling.warn_ms), .name = "warn_duration", .type = &conf_type_duration, .min = 100,
     .max = CENTURY, .flags = CONF_SAMPLED,
     .doc = "A value that is not seen for so long has fallen silent. Below inspect_duration, by default half "
	    "of it."},
    {TOPIC(sampling.size_trigger), .name = "size_trigger", .type = &conf_type_size,
     .flags = CONF_MAP | CONF_SAMPLED,
     .doc = "Copy a message in any case whose size differs by so much or more from that of the last one of "
	    "the same value."},
    {TOPIC(sampling.max_values), .name = "inspect_max_values", .type = &conf_type_count, .initial = "2000000",
     .min = 1, .max = 100000000, .flags = CONF_MAP | CONF_SAMPLED,
     .doc = "Most values that are remembered. Messages of further ones are all copied and counted."},
    {TOPIC(sampling.gossip), .name = "gossip", .type = &conf_type_bool, .initial = "false",
     .flags = CONF_SAMPLED,
     .doc = "Tell other replicators of the same topic what was seen and copied, by messages on the source, "
	    "and hear it from them. Always so with leader_election_name."},

    /* election */
    {TOPIC(leader_election_name), .name = "leader_election_name", .type = &conf_type_key,
     .flags = CONF_ELECT | CONF_PARTITION,
     .doc = "Copy only while this machine leads the election of that name, which others with the same "
	    "configuration stand for as well. Topics of the same name and system are led as one. Without "
	    "it, the topic is copied at all times."},
    {TOPIC(election_key), .name = "election_key", .type = &conf_type_key,
     .flags = CONF_ELECT | CONF_PARTITION,
     .doc = "Key of the election in its bucket, by default leader_election_name. Set it to "
	    "SR_<topic>_<STREAM> to share an election with an existing Choria Stream Replicator, where "
	    "<topic> is the name of its topic and <STREAM> the stream."},

    /* delivery */
    {TOPIC(max_inflight), .name = "max_inflight", .type = &conf_type_count, .initial = "32768", .min = 1,
     .max = 1000000, .doc = "Most messages that may be sent and not yet known to be stored."},
    {TOPIC(max_inflight_bytes), .name = "max_inflight_bytes", .type = &conf_type_size, .initial = "32MiB",
     .min = 1024, .max = INT64_C(4) << 30, .doc = "The same in bytes."},
    {TOPIC(ack_timeout_ms), .name = "ack_timeout", .type = &conf_type_duration, .initial = "5s", .min = 100,
     .max = 10 * MINUTE_MS,
     .doc =
	 "An answer of the target that is later than this makes the worker look what was stored, and go on "
	 "from there."},
    {TOPIC(rate_limit), .name = "rate_limit", .type = &conf_type_rate,
     .doc = "Most messages (1000/s) or bytes (10MiB/s) copied a second."},
    {TOPIC(name), .name = "name", .type = &conf_type_name, .flags = CONF_ELECT | CONF_PARTITION,
     .doc = "Name of the consumer on the source and of the worker; by default title and stream with _ "
	    "between them."},
    {.kind = CONF_TOPIC,
     .name = "workers",
     .type = &conf_type_one_worker,
     .reload = CONF_RELOAD_WORKER,
     .doc = "Number of workers; 1 in this version."},
    {.kind = CONF_TOPIC,
     .name = "partitions",
     .type = &conf_type_partitions,
     .min = 1,
     .max = 1024,
     .reload = CONF_RELOAD_WORKER,
     .doc =
	 "Make so many topics of this one, named title_P0 and so on: see PARTITIONS. In filter_subject, "
	 "name, "
	 "dead_letter_subject, leader_election_name, election_key and the texts of the target, {{partition}} "
	 "is replaced by the number."},
    {.kind = CONF_TOPIC,
     .name = "target_initiated",
     .type = &conf_type_ignored,
     .reload = CONF_RELOAD_LIVE,
     .doc = "Accepted and without effect: the copy is as fast from either side."},

    /* later: NATS Streaming, pools */
    LATER(CONF_TOPIC, "topic"),
    LATER(CONF_TOPIC, "source_cluster_id"),
    LATER(CONF_TOPIC, "target_topic"),
    LATER(CONF_TOPIC, "target_cluster_id"),
    LATER(CONF_TOPIC, "queued"),
    LATER(CONF_TOPIC, "queue_group"),

    {TLS(ca), .name = "ca", .type = &conf_type_path,
     .doc = "File of certificates that the server's must be signed by; without it, those of the system."},
    {TLS(cert), .name = "cert", .type = &conf_type_path,
     .doc = "File of the client's certificate, with key."},
    {TLS(key), .name = "key", .type = &conf_type_path, .doc = "File of the certificate's private key."},
    {.kind = CONF_TLS,
     .name = "scheme",
     .type = &conf_type_tls_scheme,
     .reload = CONF_RELOAD_WORKER,
     .doc = "Where certificates come from: manual, from the files named here."},
    LATER(CONF_TLS, "identity"),
    LATER(CONF_TLS, "ssl_dir"),

    {ELECTION(url), .name = "url", .type = &conf_type_url, .flags = CONF_ELECT,
     .doc = "Servers that hold the elections, like source_url; by default, each topic's election is held on "
	    "its source and that of the heartbeat on its url."},
    {ELECTION(domain), .name = "domain", .type = &conf_type_name, .flags = CONF_ELECT,
     .doc = "JetStream domain of the bucket; without url, the default is the topic's source_domain."},
    {ELECTION(bucket), .name = "bucket", .type = &conf_type_bucket, .initial = "CHORIA_LEADER_ELECTION",
     .flags = CONF_REQUIRED | CONF_ELECT, .doc = "Key-value bucket that holds the elections."},
    {ELECTION(ttl_ms), .name = "ttl", .type = &conf_type_duration, .initial = "10s", .min = SECOND_MS,
     .max = 60 * MINUTE_MS, .flags = CONF_ELECT,
     .doc = "For a bucket that is made: how long a leader that is not heard of keeps its right. A bucket "
	    "that is there keeps its own."},
    {ELECTION(replicas), .name = "replicas", .type = &conf_type_count, .initial = "0", .max = 5,
     .flags = CONF_ELECT,
     .doc = "For a bucket that is made: on how many servers it is kept; 0 for as many as the cluster allows, "
	    "up to 3."},
    {ELECTION(create), .name = "create", .type = &conf_type_bool, .initial = "true", .flags = CONF_ELECT,
     .doc = "Make a missing bucket."},

    {HEARTBEAT(url), .name = "url", .type = &conf_type_url, .flags = CONF_REQUIRED | CONF_ELECT,
     .doc = "Servers to publish to, like source_url."},
    {HEARTBEAT(interval_ms), .name = "interval", .type = &conf_type_duration, .initial = "10s", .min = 100,
     .max = DAY_MS, .doc = "How often a heartbeat is published to each subject."},
    {HEARTBEAT(leader_election), .name = "leader_election", .type = &conf_type_bool, .initial = "false",
     .flags = CONF_ELECT,
     .doc = "Publish only while this machine leads the election of the key SR_<name>_HB, with the name of "
	    "the site."},
    {HEADER(value), .name = "value", .type = &conf_type_text, .flags = CONF_REQUIRED,
     .doc = "Value of the header."},
    {SUBJECT(interval_ms), .name = "interval", .type = &conf_type_duration, .min = 100, .max = DAY_MS,
     .doc = "How often a heartbeat is published to this subject, by default as often as to the others."},

    {ADVISORY(sampling.advisory.subject), .name = "subject", .type = &conf_type_advisory_subject,
     .flags = CONF_REQUIRED | CONF_PARTITION,
     .doc = "Subject to publish to; %s in it is replaced by the event, %v by the value."},
    {ADVISORY(sampling.advisory.subject), .name = "target", .type = &conf_type_advisory_subject,
     .flags = CONF_OLD | CONF_PARTITION, .same_as = "subject", .doc = "Old name of subject."},
    {ADVISORY(sampling.advisory.cluster), .name = "cluster", .type = &conf_type_choice, .initial = "source",
     .choices = advisory_clusters, .doc = "To which end it is published."},
    {ADVISORY(sampling.advisory.reliable), .name = "reliable", .type = &conf_type_bool, .initial = "false",
     .doc = "A stream there stores advisories: each is sent until that is acknowledged, up to 10 times, also "
	    "over restarts, and the stream drops what it has already."},
    {ADVISORY(sampling.advisory.schema), .name = "schema", .type = &conf_type_choice, .initial = "v2",
     .choices = advisory_schemas, .doc = "Form of the messages."},
    {ADVISORY(sampling.warn_ms), .name = "warn_duration", .type = &conf_type_duration, .min = 100,
     .max = CENTURY, .flags = CONF_OLD, .doc = "The same as warn_duration of the topic."},
    {ADVISORY(sampling.warn_ms), .name = "age", .type = &conf_type_duration, .min = 100, .max = CENTURY,
     .flags = CONF_OLD, .same_as = "warn_duration", .doc = "Old name of warn_duration."},

    LATER(CONF_CHORIA, "seed_file"),
    LATER(CONF_CHORIA, "jwt_file"),
    LATER(CONF_CHORIA, "collective"),
};
const size_t conf_option_count = array_len(conf_options);

const struct conf_section conf_sections[] = {
    {CONF_TOP, CONF_TLS, "tls", false, false,
     "Files for TLS to every server, unless a topic has a section of its own."},
    {CONF_TOP, CONF_TOPIC, "topic", true, false, "One stream that is copied; the title names it everywhere."},
    {CONF_TOPIC, CONF_TLS, "tls", false, false, "Files for TLS to source and target of the topic."},
    {CONF_TOPIC, CONF_TLS, "source_tls", false, false, "The same for its source alone."},
    {CONF_TOPIC, CONF_TLS, "target_tls", false, false, "The same for its target alone."},
    {CONF_TOPIC, CONF_ADVISORY, "advisory", false, false,
     "Tell of values that are new, fall silent, come back and are forgotten: see SAMPLING."},
    {CONF_TOPIC, CONF_CHORIA, "choria", false, true, NULL},
    {CONF_TOPIC, CONF_CHORIA, "source_choria", false, true, NULL},
    {CONF_TOPIC, CONF_CHORIA, "target_choria", false, true, NULL},
    {CONF_TOP, CONF_ELECTION, "election", false, false,
     "Where and how elections are held, for topics with leader_election_name and the heartbeat."},
    {CONF_TOP, CONF_HEARTBEAT, "heartbeat", false, false,
     "Messages that are published at intervals, to see from their copies how far the copying is."},
    {CONF_ELECTION, CONF_TLS, "tls", false, false,
     "Files for TLS to the servers of url, in place of those of the top level."},
    {CONF_HEARTBEAT, CONF_TLS, "tls", false, false,
     "Files for TLS to the servers of url, in place of those of the top level."},
    {CONF_HEARTBEAT, CONF_HEARTBEAT_HEADER, "header", true, false,
     "A header of every heartbeat; the title is its name."},
    {CONF_HEARTBEAT, CONF_HEARTBEAT_SUBJECT, "subject", true, false,
     "A subject to publish to, which is the title. At least one."},
    {CONF_HEARTBEAT_SUBJECT, CONF_HEARTBEAT_HEADER, "header", true, false,
     "A header of heartbeats to this subject, in place of one of the same name of the heartbeat section."},
};
const size_t conf_section_count = array_len(conf_sections);

const struct conf_option *
conf_option_find(enum conf_section_kind kind, const char *name)
{
	for (size_t i = 0; i < conf_option_count; i++)
		if (conf_options[i].kind == kind && strcmp(conf_options[i].name, name) == 0)
			return &conf_options[i];
	return NULL;
}

const struct conf_section *
conf_section_find(enum conf_section_kind parent, const char *name)
{
	for (size_t i = 0; i < conf_section_count; i++)
		if (conf_sections[i].parent == parent && strcmp(conf_sections[i].name, name) == 0)
			return &conf_sections[i];
	return NULL;
}

/* ---- names that look alike ------------------------------------------------------------------------- */

#define NAME_MAX_LEN 40

static size_t
min3(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* How many letters must be put in, left out or changed to make one of the other. */
static size_t
distance(const char *a, const char *b)
{
	size_t row[NAME_MAX_LEN + 1], len_a = strlen(a), len_b = strlen(b);

	if (len_a > NAME_MAX_LEN || len_b > NAME_MAX_LEN)
		return SIZE_MAX;
	for (size_t j = 0; j <= len_b; j++)
		row[j] = j;
	for (size_t i = 1; i <= len_a; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= len_b; j++) {
			size_t above = row[j];

			row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1));
			diagonal = above;
		}
	}
	return row[len_b];
}

static void
consider(const char *candidate, const char *name, const char **best, size_t *best_distance)
{
	size_t d = distance(candidate, name);

	if (d < *best_distance) {
		*best = candidate;
		*best_distance = d;
	}
}

const char *
conf_option_nearest(enum conf_section_kind kind, const char *name)
{
	size_t limit = strlen(name) / 3 + 2; /* less than so many letters may be wrong */
	const char *best = NULL;

	if (limit > 5)
		limit = 5;
	for (size_t i = 0; i < conf_option_count; i++)
		if (conf_options[i].kind == kind && (conf_options[i].flags & CONF_LATER) == 0)
			consider(conf_options[i].name, name, &best, &limit);
	for (size_t i = 0; i < conf_section_count; i++)
		if (conf_sections[i].parent == kind && !conf_sections[i].later)
			consider(conf_sections[i].name, name, &best, &limit);
	return best;
}

const char *
conf_option_home(const char *name)
{
	static const struct {
		enum conf_section_kind kind;
		const char *words;
	} homes[] = {{CONF_TOP, "at the top level"},           {CONF_TOPIC, "in a topic section"},
		     {CONF_TLS, "in a tls section"},           {CONF_ELECTION, "in section election"},
		     {CONF_HEARTBEAT, "in section heartbeat"}, {CONF_HEARTBEAT_HEADER, "in a header section"},
		     {CONF_ADVISORY, "in section advisory"}};

	for (size_t i = 0; i < array_len(homes); i++)
		if (conf_option_find(homes[i].kind, name) != NULL ||
		    conf_section_find(homes[i].kind, name) != NULL)
			return homes[i].words;
	return NULL;
}
