/* Each unit test program is one file with a suite; tests/unit/main.c runs it. */
#ifndef SR_TESTS_UNIT_H
#define SR_TESTS_UNIT_H

#include <check.h>

Suite *unit_suite(void);

#endif
