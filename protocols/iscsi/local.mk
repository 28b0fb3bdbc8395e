libprotocols_la_SOURCES += \
	%D%/pdu.h \
	%D%/scsi.h \
	%D%/session.h

# What a LUN is, and requests as SCSI commands.
libprotocols_la_SOURCES += \
	%D%/scsi_cdb.c %D%/scsi_cdb.h \
	%D%/scsi_data.c %D%/scsi_data.h \
	%D%/scsi_sense.c %D%/scsi_sense.h \
	%D%/scsi_vpd.c
