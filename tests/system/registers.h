/* SPDX-License-Identifier: BSD-2-Clause */
/* A volume as registers: what a read may return, and what not.
 *
 * Pages hold registers of 512, 1024, 2048 and 4096 bytes in turn. Whoever
 * writes a register takes its next version, which each word of it then has. A
 * word that is read is
 *
 *   stale      older than a version that was acknowledged before the read began
 *   went back  older than what a read had returned before this one began
 *   invented   no version that was begun, or not of this register
 *
 * and else good: between begun and acknowledged either may be there, for a
 * while (a write under way) or until the next one is acknowledged (a write at
 * a gateway that was killed: it is done, or not, or to a part).
 *
 * Zeros are written as versions too; which one is there cannot be seen.
 *
 * Pure: no clock, no system call. One thread.
 */
#ifndef BH_TESTS_REGISTERS_H
#define BH_TESTS_REGISTERS_H

#include <stdbool.h>
#include <stdint.h>

#define REGISTERS_MAX_SPAN 128u /* 512 bytes each: a read of 64 KiB */

struct reg {
  uint32_t begun, acknowledged;
  uint32_t seen;      /* no read begun from now on may return less */
  uint32_t last_zero; /* the last version that was zeros; 0: as it began */
  bool writing;       /* at most one write at a time */
};

/* What a read that begins now must return at least. */
struct floors {
  uint32_t acknowledged[REGISTERS_MAX_SPAN];
  uint32_t seen[REGISTERS_MAX_SPAN];
};

struct registers {
  uint32_t count;
  struct reg *reg;
  uint64_t words, stale, went_back, invented;
};

/* size_bytes: a multiple of 16 KiB; all zeros. */
void registers_init (struct registers *rs, uint64_t size_bytes);
void registers_free (struct registers *rs);

/* In bytes of the volume; end: one behind the last. */
uint64_t registers_offset (uint32_t r);
/* The first register at or after that offset. */
uint32_t registers_at (uint64_t offset);

/* Registers [first, end) are written by nobody now. */
bool registers_idle (const struct registers *rs, uint32_t first, uint32_t end);
/* They are written from now on; payload (NULL: zeros) is filled. */
void registers_write (struct registers *rs, uint32_t first, uint32_t end,
                      void *payload);
/* acknowledged false: nobody knows whether it is done. */
void registers_written (struct registers *rs, uint32_t first, uint32_t end,
                        bool acknowledged);

void registers_floors (const struct registers *rs, uint32_t first,
                       uint32_t end, struct floors *ret);
/* False, and counted, if there is a word that must not be there. */
bool registers_check (struct registers *rs, uint32_t first, uint32_t end,
                      const struct floors *f, const void *data);

#endif
