/*
 * Keeps TLS of the client library from blocking the loop.
 *
 * The library waits inside its read until a TLS record is whole, and inside its write until the socket
 * took all of it, for as long as that takes. So once it is connected, its socket is replaced by one end of
 * a pair, and a thread moves the bytes between the other end and the real socket: towards the library
 * only whole records, towards the server whatever comes, into a buffer of its own. The bytes are
 * encrypted: the thread sees nothing of what they mean.
 */
#ifndef SR_COMMON_NATS_TLS_RELAY_H
#define SR_COMMON_NATS_TLS_RELAY_H

#include <stddef.h>

#include "common/clock.h"
#include "common/error.h"

struct tls_relay;

/*
 * Takes the socket behind fd and puts the pair's end in its place. wake_fd (an eventfd) is written when
 * tls_relay_tell is due; it is borrowed until tls_relay_end. NULL with *e, fd then is as it was.
 */
struct tls_relay *tls_relay_start(int fd, int wake_fd, struct error *e);

/* Bytes that the server's side has not taken yet. */
size_t tls_relay_waiting(struct tls_relay *r);
/* Writes wake_fd once as soon as no more than that many bytes wait. */
void tls_relay_tell(struct tls_relay *r, size_t bytes);

/* From that moment on nothing goes to the server: the connection is reset instead. {0}: no end. */
void tls_relay_write_until(struct tls_relay *r, struct mono end);

/* Resets the connection to the server at once, drops what waits, and nulls *r. Does not wait. */
void tls_relay_end(struct tls_relay **r);

#endif
