/* Two functions of the client library that this program replaces. */
#ifndef SR_COMMON_NATS_OVERRIDES_H
#define SR_COMMON_NATS_OVERRIDES_H

#include <stdbool.h>

/* Whether the library calls ours. One that was linked to call its own does not: then everything works,
 * but slower, and with what overrides.c says. */
bool overrides_work(void);

#endif
