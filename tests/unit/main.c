/* Runs the suite of the test program it is linked into; the exit status says whether all passed. */
#include <stdlib.h>

#include "tests/unit/unit.h"

int
main(void)
{
	SRunner *runner = srunner_create(unit_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
