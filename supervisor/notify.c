/*
 * The service manager's notification socket, by hand: three datagrams are no reason for a library. Runs in
 * the supervisor. Failure is not told: the manager that set the variable will notice the silence.
 */
#include "supervisor/notify.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"

static struct sockaddr_un address;
static socklen_t address_len; /* 0: no manager */

void
notify_init(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path != NULL ? strlen(path) : 0;

	if (len > 1 && len < sizeof address.sun_path && (path[0] == '/' || path[0] == '@')) {
		address.sun_family = AF_UNIX;
		memcpy(address.sun_path, path, len);
		/* @ stands for the NUL of a name that is in no file system. */
		if (path[0] == '@')
			address.sun_path[0] = '\0';
		address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	}
	unsetenv("NOTIFY_SOCKET");
}

static void
tell(const char *text)
{
	int fd;

	if (address_len == 0)
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	if (sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&address, address_len) < 0)
		address_len = 0;
	close(fd);
}

void
notify_ready(void)
{
	char text[64];

	/* With --daemonize it is not the process that was started. */
	snprintf(text, sizeof text, "READY=1\nMAINPID=%d\n", (int)getpid());
	tell(text);
}

void
notify_reloading(void)
{
	char text[80];

	snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\n", mono_now().ns / 1000);
	tell(text);
}

void
notify_stopping(void)
{
	tell("STOPPING=1\n");
}
