/* SPDX-License-Identifier: BSD-2-Clause */
/* SCSI commands as a block device needs them: one encoder, which picks the
 * smallest CDB that holds what is asked. Pure functions.
 *
 * Sections are of SPC-4 (r37) and SBC-3 (r36).
 */
#ifndef BH_PROTOCOLS_ISCSI_SCSI_CDB_H
#define BH_PROTOCOLS_ISCSI_SCSI_CDB_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

#define SCSI_CDB_BYTES 16u

enum scsi_verb {
  SCSI_TEST_UNIT_READY,   /* SPC-4 §6.47 */
  SCSI_INQUIRY,           /* SPC-4 §6.6: page, if vpd; bytes */
  SCSI_MODE_SENSE,        /* SPC-4 §6.11, §6.12: page, bytes */
  SCSI_REPORT_LUNS,       /* SPC-4 §6.33: bytes */
  SCSI_READ_CAPACITY_10,  /* SBC-3 §5.15 */
  SCSI_READ_CAPACITY_16,  /* SBC-3 §5.16: bytes */
  SCSI_READ,              /* SBC-3 §5.11, §5.13: lba, blocks, fua, dpo */
  SCSI_WRITE,             /* SBC-3 §5.32, §5.34: lba, blocks, fua, dpo */
  SCSI_SYNCHRONIZE_CACHE, /* SBC-3 §5.22, §5.23: lba, blocks (0: to the end) */
  SCSI_UNMAP,             /* SBC-3 §5.28: bytes of the parameter list */
  SCSI_WRITE_SAME,        /* SBC-3 §5.42, §5.43: lba, blocks, unmap, ndob */
  SCSI_GET_LBA_STATUS,    /* SBC-3 §5.4: lba, bytes */
  SCSI_VERBS,
};

enum scsi_direction { SCSI_NO_DATA, SCSI_DATA_IN, SCSI_DATA_OUT };

struct scsi_ask {
  enum scsi_verb verb;
  /* The longer of two forms, whatever fits: for a server that has only that,
   * and for MODE SENSE(10).
   */
  bool longer;
  bool fua, dpo;    /* READ, WRITE */
  bool unmap, ndob; /* WRITE SAME; ndob: there is no block to send */
  bool vpd;         /* INQUIRY */
  uint8_t page;     /* INQUIRY, MODE SENSE */
  uint64_t lba;
  uint32_t blocks;
  uint32_t bytes; /* allocation or parameter list length */
};

struct scsi_cdb {
  uint8_t bytes[SCSI_CDB_BYTES]; /* zeroes behind length_bytes */
  uint8_t length_bytes;          /* 6, 10, 12 or 16 */
};

/* ERR_LIMIT if a field is larger than the largest CDB's. */
enum err
scsi_encode (const struct scsi_ask *a, struct scsi_cdb *ret);
/* Which way its data goes, if there are any. */
enum scsi_direction
scsi_direction (const struct scsi_ask *a);
/* "READ(16)", for messages. Of any first byte; "a command" if unknown. */
const char *
scsi_opcode_name (const uint8_t cdb[SCSI_CDB_BYTES]);

/* The UNMAP parameter list (SBC-3 §5.28.2) of one range. */
#define SCSI_UNMAP_BYTES 24u
void
scsi_encode_unmap (uint64_t lba, uint32_t blocks,
                   uint8_t ret[SCSI_UNMAP_BYTES]);

#endif
