/* The verbs of the control socket. Runs in the supervisor; each verb is one function and one reply. */
#include "common/log.h"
#include "supervisor/elections.h"
#include "supervisor/reload.h"
#include "supervisor/status.h"
#include "supervisor/supervisor.h"

static json_t *
fine(void)
{
	return json_pack("{s:b}", "ok", 1);
}

static json_t *
answer_pause(struct supervisor *s, const struct request *r, struct child *c)
{
	(void)s;
	log_info(c->key, "%s asked for", request_verb_name(r->verb));
	child_pause(c, r->verb == REQUEST_PAUSE);
	return fine();
}

static json_t *
answer_restart(struct supervisor *s, const struct request *r, struct child *c)
{
	(void)r;
	if (s->children.stopping)
		return request_refusal("stream-replicator is stopping");
	log_info(c->key, "restart asked for");
	child_drain(c, CHILD_START);
	return fine();
}

static json_t *
answer_for_topic(struct supervisor *s, const struct request *r)
{
	struct child *c = children_find(&s->children, JOB_REPLICATE, r->topic);

	if (r->topic[0] == '\0')
		return request_refusal("%s: no topic given", r->name);
	if (c == NULL || !c->wanted)
		return request_refusal("topic \"%s\" does not exist here", r->topic);
	return r->verb == REQUEST_RESTART ? answer_restart(s, r, c) : answer_pause(s, r, c);
}

static json_t *
answer_step_down(struct supervisor *s, const struct request *r)
{
	struct error e = ERROR_INIT;

	if (r->election[0] == '\0')
		return request_refusal("%s: no name given, as in {\"verb\":\"step-down\",\"name\":\"X\"}",
				       r->name);
	if (s->children.stopping)
		return request_refusal("stream-replicator is stopping: it gives up all that it leads");
	if (elections_step_down(s->children.elections, r->election, &e) != 0)
		return request_refusal("%s", e.text);
	log_info("supervisor", "step-down of \"%s\" asked for", r->election);
	return json_pack("{s:b, s:s}", "ok", 1, "name", r->election);
}

static json_t *
answer_stop(struct supervisor *s)
{
	log_info("supervisor", "stop asked for");
	/* Asked twice it is still the first wish: only a signal stops at once. */
	if (!s->children.stopping)
		supervisor_stop(s);
	return fine();
}

json_t *
verbs_answer(void *arg, const struct request *r)
{
	struct supervisor *s = arg;

	switch (r->verb) {
	case REQUEST_STATUS:
		return status_build(s);
	case REQUEST_PAUSE:
	case REQUEST_RESUME:
	case REQUEST_RESTART:
		return answer_for_topic(s, r);
	case REQUEST_RELOAD:
		return reload_run(s);
	case REQUEST_STOP:
		return answer_stop(s);
	case REQUEST_STEP_DOWN:
		return answer_step_down(s, r);
	case REQUEST_VERSION:
		return json_pack("{s:b, s:s}", "ok", 1, "version", SR_VERSION);
	case REQUEST_UNKNOWN:
	case REQUEST_VERB_END:
		break;
	}
	return request_refusal("verb \"%s\" is not known", r->name);
}
