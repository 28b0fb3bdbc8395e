/* SPDX-License-Identifier: BSD-2-Clause */
/* What servers answer INQUIRY, READ CAPACITY, MODE SENSE, GET LBA STATUS and
 * REPORT LUNS with. Pure functions over bytes that were received completely;
 * lengths inside are checked against length_bytes. What a server has left out
 * at the end is zero, as an older standard would have it; what is too short to
 * mean anything, or contradicts itself, is ERR_PEER with f (which may be NULL)
 * naming field and section. Outputs are untouched on failure.
 *
 * Sections are of SPC-4 (r37) and SBC-3 (r36).
 */
#ifndef BH_PROTOCOLS_ISCSI_SCSI_DATA_H
#define BH_PROTOCOLS_ISCSI_SCSI_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/io.h"

/* What is asked for; no answer that is understood here is longer. */
#define SCSI_INQUIRY_BYTES 96u
#define SCSI_VPD_BYTES 1024u
#define SCSI_CAPACITY_10_BYTES 8u
#define SCSI_CAPACITY_16_BYTES 32u
#define SCSI_MODE_BYTES 192u

struct scsi_inquiry {
  uint8_t qualifier; /* 0: there is a LUN */
  uint8_t type;      /* 0: a disk; 0x1f: none */
  bool removable;
  char vendor[9], product[17], revision[5]; /* without trailing spaces */
};
#define SCSI_TYPE_DISK 0x00

enum err
scsi_decode_inquiry (const uint8_t *bytes, size_t length_bytes,
                     struct scsi_inquiry *ret, struct fault *f);

enum scsi_vpd_page {
  SCSI_VPD_PAGES = 0x00,
  SCSI_VPD_SERIAL = 0x80,
  SCSI_VPD_IDENTITY = 0x83,
  SCSI_VPD_LIMITS = 0xb0,
  SCSI_VPD_CHARACTERISTICS = 0xb1,
  SCSI_VPD_PROVISIONING = 0xb2,
};

/* SPC-4 §7.8.14: which of the pages above are there. */
struct scsi_vpd_pages {
  bool serial, identity, limits, characteristics, provisioning;
};
enum err
scsi_decode_vpd_pages (const uint8_t *bytes, size_t length_bytes,
                       struct scsi_vpd_pages *ret, struct fault *f);

/* SPC-4 §7.8.15: printable, without spaces around. */
#define SCSI_SERIAL_BYTES 64u
enum err
scsi_decode_vpd_serial (const uint8_t *bytes, size_t length_bytes,
                        char ret[SCSI_SERIAL_BYTES], struct fault *f);

/* SPC-4 §7.8.6: the best name of the LUN itself: "naa.…", "eui.…", a SCSI name
 * string as it is, "t10.…"; "" if it has none.
 */
#define SCSI_IDENTITY_BYTES 96u
enum err
scsi_decode_vpd_identity (const uint8_t *bytes, size_t length_bytes,
                          char ret[SCSI_IDENTITY_BYTES], struct fault *f);

/* SBC-3 §6.6.4; in blocks; 0: not said */
struct scsi_limits {
  bool write_same_not_zero; /* WSNZ: a count of 0 is refused */
  uint16_t granularity;
  uint32_t transfer_max, transfer_optimal;
  uint32_t unmap_max, unmap_descriptors;
  uint32_t unmap_granularity, unmap_alignment;
  uint64_t write_same_max;
};
enum err
scsi_decode_vpd_limits (const uint8_t *bytes, size_t length_bytes,
                        struct scsi_limits *ret, struct fault *f);

/* SBC-3 §6.6.2 */
struct scsi_characteristics {
  uint16_t rotation_rate; /* 1: it does not rotate; 0: not said */
};
enum err
scsi_decode_vpd_characteristics (const uint8_t *bytes, size_t length_bytes,
                                 struct scsi_characteristics *ret,
                                 struct fault *f);

/* SBC-3 §6.6.7 */
struct scsi_provisioning {
  bool unmap, write_same_16, write_same_10; /* LBPU, LBPWS, LBPWS10 */
  bool zeroes;                              /* LBPRZ */
  bool thin;
};
enum err
scsi_decode_vpd_provisioning (const uint8_t *bytes, size_t length_bytes,
                              struct scsi_provisioning *ret, struct fault *f);

struct scsi_capacity {
  uint64_t blocks;
  uint32_t block_bytes;     /* 512 … 65536, a power of two */
  uint32_t physical_blocks; /* logical blocks of a physical one; 1 if unknown */
  bool protection;          /* PROT_EN */
  bool provisioned, zeroes; /* LBPME, LBPRZ */
};
/* SBC-3 §5.15.2. A medium too large for it: *ret_larger, and nothing else. */
enum err
scsi_decode_capacity_10 (const uint8_t *bytes, size_t length_bytes,
                         struct scsi_capacity *ret, bool *ret_larger,
                         struct fault *f);
/* SBC-3 §5.16.2; ERR_NOTSUP: more than 8 EiB. */
enum err
scsi_decode_capacity_16 (const uint8_t *bytes, size_t length_bytes,
                         struct scsi_capacity *ret, struct fault *f);

struct scsi_mode {
  bool write_protected;
  bool dpofua;
  bool caching; /* the caching page is there: */
  bool write_cache;
};
/* SPC-4 §7.5.5, SBC-3 §6.5.5; longer: MODE SENSE(10). */
enum err
scsi_decode_mode (const uint8_t *bytes, size_t length_bytes, bool longer,
                  struct scsi_mode *ret, struct fault *f);

/* SBC-3 §5.4.2: what it says about [lba, lba + blocks), as extents for
 * IO_STATUS, at most max; *ret_blocks says how far they reach (>= 1). A
 * deallocated block reads as zeroes only if zeroes (LBPRZ).
 */
#define SCSI_LBA_STATUS_BYTES(descriptors) (8u + 16u * (descriptors))
enum err
scsi_decode_lba_status (const uint8_t *bytes, size_t length_bytes, uint64_t lba,
                        uint32_t blocks, uint32_t block_bytes, bool zeroes,
                        struct io_extent *ret, uint32_t max,
                        uint32_t *ret_count, uint32_t *ret_blocks,
                        struct fault *f);

/* SPC-4 §6.33: at most max LUNs as numbers; those that are not simple (SAM-5
 * §4.7) are left out. *ret_total: how many the server has.
 */
#define SCSI_LUNS_BYTES(luns) (8u + 8u * (luns))
enum err
scsi_decode_luns (const uint8_t *bytes, size_t length_bytes, uint16_t *ret,
                  unsigned max, unsigned *ret_count, unsigned *ret_total,
                  struct fault *f);
/* SAM-5 §4.7.7.2 up to 255, §4.7.7.3 above. lun < 16384. */
void
scsi_encode_lun (uint16_t lun, uint8_t ret[8]);
/* The eight bytes as one big-endian number; false: it is not simple. */
bool
scsi_decode_lun (uint64_t bytes, uint16_t *ret);

#endif
