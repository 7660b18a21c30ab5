/* The role of the process that publishes heartbeats: between the pipe's frames and heartbeat.h. */
#include <stdio.h>
#include <unistd.h>

#include "worker/heartbeat.h"
#include "worker/role.h"

static void *
make(struct worker *w, const struct proto_frame *frame, struct error *e)
{
	static const struct heartbeat_reports reports = {worker_report_state, worker_report_role_done,
							 worker_drained};
	char node[256];

	(void)frame; /* the configuration was all */
	if (gethostname(node, sizeof node) != 0)
		snprintf(node, sizeof node, "localhost");
	node[sizeof node - 1] = '\0';
	return heartbeat_new(worker_base(w), worker_conf(w), node, &reports, w, e);
}

static void
start(void *role)
{
	heartbeat_start(role);
}

static void
stats(const void *role, struct proto_stats *stats)
{
	heartbeat_stats(role, stats);
}

static void
drain(void *role)
{
	heartbeat_drain(role);
}

static void
release(void *role)
{
	struct heartbeat *h = role;

	heartbeat_free(&h);
}

static void
pause_role(void *role)
{
	heartbeat_pause(role);
}

static void
resume(void *role)
{
	heartbeat_resume(role);
}

static void
set_role(void *role, const struct proto_role *told)
{
	heartbeat_set_role(role, told);
}

const struct role_ops role_heartbeat = {
    .begins_with = PROTO_CONFIG,
    .make = make,
    .start = start,
    .stats = stats,
    .drain = drain,
    .free = release,
    .pause = pause_role,
    .resume = resume,
    .set_role = set_role,
};
