/*
 * Socket options and the end of sockets, for the loop and the helper threads of a worker. A dead process
 * must leave no bytes behind that arrive later: hence linger 0 and the user timeout.
 */
#include "common/nats/socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define USER_TIMEOUT_MS 10000

void
socket_set_options(int fd)
{
	struct linger reset = {.l_onoff = 1, .l_linger = 0};
	int user_timeout = USER_TIMEOUT_MS, on = 1;

	/* None can fail on a TCP socket; without them we are only slower to notice a loss. */
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout, sizeof user_timeout);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void
socket_reset(int fd)
{
	struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

	/* The first resets a TCP connection even while another thread waits in poll for it, the second is
	 * for pairs of sockets. */
	(void)connect(fd, &nowhere, sizeof nowhere);
	(void)shutdown(fd, SHUT_RDWR);
}
