# What comes with the program: the two commands of the README, and what they share.
EXTRA_DIST += \
	contrib/install-deps \
	contrib/quickstart \
	contrib/test-all
