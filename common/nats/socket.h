/* What is set on the sockets of connections, and how they end. */
#ifndef SR_COMMON_NATS_SOCKET_H
#define SR_COMMON_NATS_SOCKET_H

/* No delay, linger 0, a user timeout of 10 s, close-on-exec. */
void socket_set_options(int fd);

/* Ends the connection behind fd now: the other side sees a reset, what was not sent is gone, whoever reads
 * or polls fd sees the end. fd itself stays open. */
void socket_reset(int fd);

#endif
