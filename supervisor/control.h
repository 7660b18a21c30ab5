/*
 * The control socket: a Unix socket, mode 0600, on which each line is a JSON object in both directions.
 * Whatever a client does harms that client alone.
 */
#ifndef SR_SUPERVISOR_CONTROL_H
#define SR_SUPERVISOR_CONTROL_H

#include <event2/event.h>

#include "common/error.h"
#include "supervisor/request.h"

#define CONTROL_MAX_CLIENTS 32
#define CONTROL_IDLE_MS     30000 /* without a whole line from the client */
#define CONTROL_SLOW_MS     10000 /* without taking what waits for it */

struct control;

/* Answers one request with a new object, {"ok": …}. Called from the loop. */
typedef json_t *control_answer_fn(void *arg, const struct request *request);

/*
 * Binds path and listens. A socket file that nobody listens on is replaced; a live one is refused
 * (ERR_CONFLICT), so is a path that is too long or no socket. NULL with *e on failure.
 */
struct control *control_new(struct event_base *base, const char *path, control_answer_fn *answer, void *arg,
			    struct error *e);
/* Writes what waits, as far as that goes at once, closes all connections, and removes the socket file, if it
 * is still ours. NULL is fine. */
void control_free(struct control **c);
/* Listens at path from now on; connections stay. On failure the old one stays in use. */
int control_move(struct control *c, const char *path, struct error *e);

/* Other times than CONTROL_IDLE_MS and CONTROL_SLOW_MS, for clients that connect from now on. */
void control_set_patience(struct control *c, int idle_ms, int slow_ms);

#endif
