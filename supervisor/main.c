/* The program stream-replicator: reads the command line and hands over to the part that does the verb. */
#include <stdlib.h>

#include "admin/advisories.h"
#include "admin/check.h"
#include "admin/command.h"
#include "admin/connect.h"
#include "admin/control_verbs.h"
#include "admin/gossip.h"
#include "admin/state.h"
#include "admin/status.h"
#include "admin/step_down.h"
#include "admin/verify.h"
#include "supervisor/supervisor.h"

static int
run(const struct command *c)
{
	struct supervisor_options options = {
	    .config_path = c->config,
	    .pidfile = c->pidfile,
	    .topics = c->topics,
	    .topic_count = c->topic_count,
	    .daemonize = c->daemonize,
	    .debug = c->debug,
	};

	return supervisor_run(&options);
}

static int
check(const struct command *c)
{
	return c->connect ? admin_check_connect(c->config) : admin_check(c->config, c->print);
}

static int
verify(const struct command *c)
{
	return admin_verify(c->config, c->topic, c->from, c->to, c->json);
}

static int (*const verbs[COMMAND_VERB_END])(const struct command *c) = {
    [COMMAND_RUN] = run,
    [COMMAND_CHECK] = check,
    [COMMAND_STATUS] = admin_status,
    [COMMAND_PAUSE] = admin_control,
    [COMMAND_RESUME] = admin_control,
    [COMMAND_RESTART] = admin_control,
    [COMMAND_RELOAD] = admin_control,
    [COMMAND_STOP] = admin_control,
    [COMMAND_STEP_DOWN] = admin_step_down,
    [COMMAND_VERIFY] = verify,
    [COMMAND_STATE] = admin_state,
    [COMMAND_ADVISORIES] = admin_advisories,
    [COMMAND_GOSSIP] = admin_gossip,
};

int
main(int argc, char **argv)
{
	struct command c;
	int rc = command_parse(argc, argv, getenv("TOPICS"), &c);

	if (rc < 0)
		rc = verbs[c.verb](&c);
	command_fini(&c);
	return rc;
}
