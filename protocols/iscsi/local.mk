# From bytes to commands of a session.
libprotocols_la_SOURCES += \
	%D%/address.c %D%/address.h \
	%D%/digest.c %D%/digest.h \
	%D%/engine.c \
	%D%/identity.c %D%/identity.h \
	%D%/inbox.c %D%/inbox.h \
	%D%/iscsi.h \
	%D%/keys.c %D%/keys.h \
	%D%/login.c %D%/login.h \
	%D%/login_status.c %D%/login_status.h \
	%D%/name.c %D%/name.h \
	%D%/pdu.c %D%/pdu.h \
	%D%/scsi.h \
	%D%/sendbox.c %D%/sendbox.h \
	%D%/session.c %D%/session.h \
	%D%/session_private.h \
	%D%/session_receive.c \
	%D%/session_send.c \
	%D%/session_task.c \
	%D%/session_text.c \
	%D%/settings.c %D%/settings.h \
	%D%/targets.c %D%/targets.h
libprotocols_la_LIBADD += $(ISAL_LIBS)

# What a LUN is, and requests as SCSI commands.
libprotocols_la_SOURCES += \
	%D%/scsi.c \
	%D%/scsi_cdb.c %D%/scsi_cdb.h \
	%D%/scsi_data.c %D%/scsi_data.h \
	%D%/scsi_disk.c %D%/scsi_disk.h \
	%D%/scsi_probe.c %D%/scsi_probe.h \
	%D%/scsi_say.c \
	%D%/scsi_sense.c %D%/scsi_sense.h \
	%D%/scsi_unit.c \
	%D%/scsi_vpd.c
