# What comes with the program: the commands of the README, and what they share.
EXTRA_DIST += \
	contrib/demo.sh \
	contrib/install-deps \
	contrib/quickstart \
	contrib/sampling-demo \
	contrib/test-all \
	contrib/three-nodes
