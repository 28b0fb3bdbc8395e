/* SPDX-License-Identifier: BSD-2-Clause */
/* The words that gateway, rings and protocol engines share: what can be asked
 * of a volume, and what a volume says about itself. Data only.
 */
#ifndef BH_COMMON_IO_H
#define BH_COMMON_IO_H

#include <stdbool.h>
#include <stdint.h>

enum io_op { IO_READ = 1, IO_WRITE = 2, IO_FLUSH = 3, IO_TRIM = 4,
             IO_ZERO = 5, IO_STATUS = 6 /* block status */ };

#define IO_FUA 0x1u     /* WRITE, TRIM, ZERO: stable before it is answered */
#define IO_NO_HOLE 0x2u /* ZERO: keep the space allocated */

/* What IO_STATUS answers with, one after the other from the request's offset
 * on; together they cover at most its length, and at least one byte.
 */
struct io_extent {
  uint64_t length; /* in bytes, > 0 */
  uint32_t flags;  /* IO_EXTENT_… */
  uint32_t reserved;
};
#define IO_EXTENT_HOLE 0x1u /* no space is allocated */
#define IO_EXTENT_ZERO 0x2u /* reads as zeroes */
#define IO_EXTENTS_MAX 1024u

#define IO_TOKEN_BYTES 16 /* stability token: compared for equality only */

/* capability bits of volume_info */
#define VOLUME_CAN_WRITE 0x01u
#define VOLUME_CAN_FLUSH 0x02u
#define VOLUME_CAN_FUA 0x04u
#define VOLUME_CAN_TRIM 0x08u
#define VOLUME_CAN_ZERO 0x10u
#define VOLUME_CAN_STATUS 0x20u    /* IO_STATUS */
#define VOLUME_CAN_FAST_ZERO 0x40u /* ZERO is never slower than writing */
/* A FLUSH on one connection proves the writes of every connection of the
 * volume (NFS COMMIT, SYNCHRONIZE CACHE), so their stability tokens are the
 * same while nothing was lost; else each connection that wrote is flushed by
 * itself.
 */
#define VOLUME_FLUSH_COVERS_ALL 0x80u
/* Not an object but a list of objects: its content, read as any other, is the
 * text of common/listing.h.
 */
#define VOLUME_IS_LIST 0x100u
#define VOLUME_CAPS_ALL 0x1ffu

/* All sizes in bytes. Checked by the daemon and again by the gateway, as it
 * comes from a worker: see volume_info_check.
 */
struct volume_info {
  uint64_t size;
  uint32_t block_min;       /* power of two, 1 … 64 KiB */
  uint32_t block_preferred; /* power of two, block_min … 32 MiB */
  uint32_t request_max;     /* what one READ or WRITE may carry; >= block_min */
  uint32_t range_max;       /* what one TRIM, ZERO or STATUS may cover;
                               >= block_min. 0: as request_max */
  uint32_t caps;            /* VOLUME_CAN_… */
  uint64_t change;          /* differs if somebody wrote; 0: not known */
  char readonly_why[160];   /* when !CAN_WRITE: for the user; else "" */
  char remarks[160];        /* what the server lacks, for logs; or "" */
  /* The object's name for itself (VPD 83h, fsid and fileid), or "". Only ever
   * compared with earlier answers for the same volume; never a key.
   */
  char identity[96];
};

/* True if every field is in its limits. */
bool volume_info_check (const struct volume_info *i);

#endif
