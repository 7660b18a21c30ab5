/* Talking to a running supervisor over its control socket. */
#ifndef SR_ADMIN_CLIENT_H
#define SR_ADMIN_CLIENT_H

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"

struct client;

/* NULL with *e: ERR_NOT_FOUND if nobody listens there. */
struct client *client_connect(const char *path, struct error *e);
void client_close(struct client **c);

/* Sends {"verb": verb} or {"verb": verb, "topic": topic}, and gives the reply, which the caller owns;
 * NULL with *e. */
json_t *client_ask(struct client *c, const char *verb, const char *topic, struct error *e);
/* The same with a field of that name in place of topic. */
json_t *client_ask_about(struct client *c, const char *verb, const char *field, const char *value,
			 struct error *e);
/* Waits until the supervisor closes the connection; false if that takes longer than timeout_ms. */
bool client_wait_end(struct client *c, int timeout_ms);

#endif
