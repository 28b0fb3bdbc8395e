# Manual pages: NAME.pod here is NAME.1 or NAME.8 there.
PODS_1 =
PODS_5 =
PODS_8 =
PODS_8 += %D%/bulkheadd.pod
PODS_1 += %D%/bulkhead.pod
PODS_1 += %D%/bulkhead-attach.pod
PODS_1 += %D%/bulkhead-bench.pod
PODS_1 += %D%/bulkhead-copy.pod
PODS_1 += %D%/bulkhead-detach.pod
PODS_1 += %D%/bulkhead-discover.pod
PODS_1 += %D%/bulkhead-doctor.pod
PODS_1 += %D%/bulkhead-probe.pod
PODS_1 += %D%/bulkhead-status.pod
PODS_1 += %D%/bulkhead-top.pod
PODS_1 += %D%/bulkhead-completion.pod
PODS_1 += %D%/bulkhead-iscsi.pod
PODS_1 += %D%/bulkhead-list.pod
PODS_1 += %D%/bulkhead-nfs.pod
PODS_1 += %D%/bulkhead-serve.pod
PODS_1 += %D%/bulkhead-sftp.pod
PODS_1 += %D%/nbdkit-bulkhead-plugin.pod
PODS_8 += %D%/bulkhead-worker.pod
PODS_5 += %D%/bulkhead.conf.pod

man_MANS += $(PODS_1:.pod=.1) $(PODS_5:.pod=.5) $(PODS_8:.pod=.8)
CLEANFILES += $(PODS_1:.pod=.1) $(PODS_5:.pod=.5) $(PODS_8:.pod=.8)
EXTRA_DIST += $(PODS_1) $(PODS_5) $(PODS_8)

SUFFIXES = .pod .1 .5 .8
POD2MAN_FLAGS = --utf8 --errors=die --center='bulkhead' \
	--release='bulkhead $(VERSION)'

.pod.1:
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(POD2MAN) $(POD2MAN_FLAGS) --section=1 \
	  --name='$(*F)' $< $@.tmp && mv $@.tmp $@
.pod.5:
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(POD2MAN) $(POD2MAN_FLAGS) --section=5 \
	  --name='$(*F)' $< $@.tmp && mv $@.tmp $@
.pod.8:
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(POD2MAN) $(POD2MAN_FLAGS) --section=8 \
	  --name='$(*F)' $< $@.tmp && mv $@.tmp $@

TESTS += tests/unit/docs/numbers.sh
EXTRA_DIST += tests/unit/docs/numbers.sh
