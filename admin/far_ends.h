/*
 * The different NATS systems that the topics of a configuration reach: each once, whatever number of topics
 * are at it. Pure.
 */
#ifndef SR_ADMIN_FAR_ENDS_H
#define SR_ADMIN_FAR_ENDS_H

#include <stdbool.h>
#include <stddef.h>

#include "admin/session.h"
#include "common/conf.h"

struct far_end {
	const struct conf_topic *topic; /* the first that is there; borrowed */
	enum session_side side;
};

/* Whether both are reached by the same servers, with the same rights. */
bool far_end_equal(const struct far_end *a, const struct far_end *b);

/* Where topics publish their advisories; where sampled topics tell each other of their values. out has room
 * for all topics of the configuration; returns how many there are. */
size_t far_ends_of_advisories(const struct conf *conf, struct far_end *out);
size_t far_ends_of_gossip(const struct conf *conf, struct far_end *out);

#endif
