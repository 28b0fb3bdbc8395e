libprotocols_la_SOURCES += \
	%D%/pdu.h \
	%D%/scsi.h \
	%D%/session.h

# What a LUN is, and requests as SCSI commands.
libprotocols_la_SOURCES += \
	%D%/scsi.c \
	%D%/scsi_cdb.c %D%/scsi_cdb.h \
	%D%/scsi_data.c %D%/scsi_data.h \
	%D%/scsi_disk.c %D%/scsi_disk.h \
	%D%/scsi_probe.c %D%/scsi_probe.h \
	%D%/scsi_sense.c %D%/scsi_sense.h \
	%D%/scsi_unit.c \
	%D%/scsi_vpd.c
