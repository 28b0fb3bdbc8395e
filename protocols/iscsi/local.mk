libprotocols_la_SOURCES += \
	%D%/pdu.h \
	%D%/scsi.h \
	%D%/session.h
