EXTRA_DIST += tests/unit/unit.h tests/unit/purity.sh
TESTS += tools/style tests/unit/purity.sh
UNIT_LIBS = $(CUNIT_LIBS)

include tests/unit/common/local.mk
include tests/unit/ipc/local.mk
include tests/unit/protocols/local.mk
include tests/unit/sandbox/local.mk
include tests/unit/worker/local.mk
include tests/unit/cache/local.mk
include tests/unit/gateway/local.mk
include tests/unit/cli/local.mk
include tests/fake/local.mk
include tests/system/local.mk
include tests/vm/local.mk
