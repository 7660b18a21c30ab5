/* Output of `check --connect`, in the user's shell: one place for its form, for its files to share. */
#include "admin/connect_say.h"

#include <stdarg.h>
#include <stdio.h>

void
connect_say(const char *what, const char *fmt, ...)
{
	va_list ap;

	printf("  %-8s ", what);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

void
connect_problem(unsigned *problems, const char *fmt, ...)
{
	va_list ap;

	(*problems)++;
	printf("  PROBLEM  ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}
