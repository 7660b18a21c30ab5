/*
 * Which elections a configuration asks for: one group for each system and bucket, which one elector process
 * serves, and in it the names that are elected. The supervisor makes its electors from it; an elector, which
 * is sent the part of its group alone, finds itself as the one group of its plan. Pure.
 */
#ifndef SR_COMMON_ELECTION_PLAN_H
#define SR_COMMON_ELECTION_PLAN_H

#include "common/conf.h"

struct election_name {
	const char *key;                  /* in the bucket: election_key, else leader_election_name */
	const char *name;                 /* for people: leader_election_name; the heartbeat's is its key */
	const struct conf_topic **topics; /* topic_count of them: they work while this machine leads */
	size_t topic_count;
	bool heartbeat; /* the heartbeat role does, too */
	/* Hash of the map hashes of its topics: nodes with the same one put the same messages into the same
	 * slots of the target. */
	uint64_t map;
};

struct election_group {
	char *id; /* of the elector, unique in the plan, fit for people: "election", "election-2", … */
	const char *url;    /* servers of the bucket; may hold secrets */
	const char *domain; /* "" for none */
	const struct conf_tls *tls;
	const struct conf_election *election; /* bucket, ttl, replicas, create */
	struct election_name *names;          /* name_count of them, in the order of the file */
	size_t name_count;
};

struct election_plan {
	struct election_group *groups;
	size_t group_count;
	char *heartbeat_key; /* NULL if the heartbeat is not elected */
};

/* The plan borrows from c, which must outlive it. */
void election_plan_make(const struct conf *c, struct election_plan *plan);
void election_plan_fini(struct election_plan *plan);

/* The election that a topic takes part in; NULL if it is not elected. *group may be NULL. */
const struct election_name *election_plan_of_topic(const struct election_plan *plan,
						   const struct conf_topic *topic,
						   const struct election_group **group);
/* The key of the heartbeat's election, "SR_<site>_HB" as in the existing tool; out as large as a subject. */
void election_heartbeat_key(const struct conf *c, char *out, size_t size);

/*
 * What is sent to the elector of a group: the site, the election, the topics of the group, and the
 * heartbeat if it is elected there. Secrets as they are. conf_load_text() reads it back; it makes a plan of
 * this one group with the same names, keys and maps. Nothing else is in it, so that a reload has to replace
 * an elector only if this text is another one.
 */
void election_plan_print(const struct conf *c, const struct election_group *group, struct strbuf *out);

#endif
