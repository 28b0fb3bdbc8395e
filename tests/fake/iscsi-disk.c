/* SPDX-License-Identifier: BSD-2-Clause */
/* The LUN of the scripted target. What was written is in its cache; it is on
 * the medium after SYNCHRONIZE CACHE or FUA, and only that outlives a reboot.
 */
#include "config.h"
#include "tests/fake/iscsi-target.h"

#include <stdlib.h>
#include <string.h>

static uint8_t answer[512];

void
disk_init (struct disk *d, uint64_t bytes, uint32_t block_bytes)
{
  d->bytes = bytes;
  d->block_bytes = block_bytes;
  d->cache = calloc (1, bytes);
  d->stable = calloc (1, bytes);
  d->dirty = calloc (1, bytes / block_bytes);
  if (d->cache == NULL || d->stable == NULL || d->dirty == NULL)
    abort ();
}

uint64_t
disk_reboot (struct disk *d)
{
  uint64_t lost = 0;

  for (uint64_t i = 0; i < d->bytes / d->block_bytes; i++) {
    if (!d->dirty[i])
      continue;
    memcpy (d->cache + i * d->block_bytes, d->stable + i * d->block_bytes,
            d->block_bytes);
    d->dirty[i] = 0;
    lost++;
  }
  return lost;
}

static void
flush (struct disk *d, uint64_t from, uint64_t blocks)
{
  for (uint64_t i = from; i < from + blocks; i++) {
    if (!d->dirty[i])
      continue;
    memcpy (d->stable + i * d->block_bytes, d->cache + i * d->block_bytes,
            d->block_bytes);
    d->dirty[i] = 0;
  }
}

static void
check (struct reply *r, uint8_t key, uint8_t asc, uint8_t ascq)
{
  r->status = 0x02;
  r->sense_bytes = sizeof r->sense;
  memset (r->sense, 0, sizeof r->sense);
  r->sense[0] = 0x70;
  r->sense[2] = key;
  r->sense[7] = 10;
  r->sense[12] = asc;
  r->sense[13] = ascq;
}

static void
tell (struct reply *r, size_t n, size_t allocation)
{
  r->data = answer;
  r->data_bytes = n < allocation ? n : allocation;
}

static void
inquiry (const uint8_t *cdb, bool lun_0, struct reply *r)
{
  size_t allocation = (size_t)cdb[3] << 8 | cdb[4];

  memset (answer, 0, sizeof answer);
  answer[0] = lun_0 ? 0 : 0x7f;
  if (!(cdb[1] & 1)) {
    memcpy (answer + 1,
            "\0\5\2\x1f\0\0\2"
            "BULKHEADSCRIPTED TARGET 0001",
            35);
    tell (r, 36, allocation);
    return;
  }
  answer[1] = cdb[2];
  switch (cdb[2]) {
  case 0x00:
    memcpy (answer + 3, "\3\x00\x80\x83", 4);
    tell (r, 7, allocation);
    break;
  case 0x80:
    memcpy (answer + 3, "\4fake", 5);
    tell (r, 8, allocation);
    break;
  case 0x83:
    memcpy (answer + 3, "\x0c\1\3\0\x08\x50\0\0\0\0\0\0\1", 13);
    tell (r, 16, allocation);
    break;
  default:
    check (r, 5, 0x24, 0);
  }
}

static void
capacity (const struct disk *d, const uint8_t *cdb, struct reply *r)
{
  uint64_t last = d->bytes / d->block_bytes - 1;

  memset (answer, 0, sizeof answer);
  if (cdb[0] == 0x25) {
    put32 (answer, (uint32_t)last);
    put32 (answer + 4, d->block_bytes);
    tell (r, 8, 8);
  } else if ((cdb[1] & 0x1f) == 0x10) {
    put32 (answer, (uint32_t)(last >> 32));
    put32 (answer + 4, (uint32_t)last);
    put32 (answer + 8, d->block_bytes);
    tell (r, 32, get32 (cdb + 10));
  } else
    check (r, 5, 0x20, 0);
}

static void
mode_sense (const uint8_t *cdb, struct reply *r)
{
  size_t head = cdb[0] == 0x1a ? 4 : 8;

  memset (answer, 0, sizeof answer);
  answer[head == 4 ? 0 : 1] = (uint8_t)(head + 20 - (head == 4 ? 1 : 2));
  answer[head == 4 ? 2 : 3] = 0x10; /* DPOFUA */
  answer[head] = 0x08;
  answer[head + 1] = 18;
  answer[head + 2] = 0x04; /* WCE */
  tell (r, head + 20, head == 4 ? cdb[4] : (size_t)cdb[7] << 8 | cdb[8]);
}

static void
blocks (struct disk *d, const uint8_t *cdb, const uint8_t *data,
        size_t data_bytes, struct reply *r)
{
  bool longer = cdb[0] >= 0x80;
  uint64_t lba = longer ? (uint64_t)get32 (cdb + 2) << 32 | get32 (cdb + 6)
                        : get32 (cdb + 2);
  uint64_t n = longer ? get32 (cdb + 10) : (uint32_t)cdb[7] << 8 | cdb[8];
  uint64_t all = d->bytes / d->block_bytes;

  if (lba > all || n > all - lba) {
    check (r, 5, 0x21, 0);
    return;
  }
  switch (cdb[0]) {
  case 0x28:
  case 0x88:
    d->reads++;
    r->data = d->cache + lba * d->block_bytes;
    r->data_bytes = n * d->block_bytes;
    break;
  case 0x2a:
  case 0x8a:
    if (data_bytes != n * d->block_bytes) {
      check (r, 5, 0x24, 0);
      break;
    }
    d->writes++;
    memcpy (d->cache + lba * d->block_bytes, data, data_bytes);
    memset (d->dirty + lba, 1, n);
    if (cdb[1] & 0x08)
      flush (d, lba, n);
    break;
  default:
    d->flushes++;
    flush (d, lba, n ? n : all - lba);
  }
}

void
disk_command (struct disk *d, struct connection *c, const uint8_t cdb[16],
              bool lun_0, const uint8_t *data, size_t data_bytes,
              struct reply *ret)
{
  *ret = (struct reply){0};
  if (cdb[0] == 0x12) {
    inquiry (cdb, lun_0, ret);
    return;
  }
  if (cdb[0] == 0xa0) {
    memcpy (answer, "\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    tell (ret, 16, get32 (cdb + 6));
    return;
  }
  if (!lun_0) {
    check (ret, 5, 0x25, 0);
    return;
  }
  if (c->attention) {
    c->attention = false;
    check (ret, 6, c->attention_asc ? c->attention_asc : 0x29,
           c->attention_ascq);
    c->attention_asc = c->attention_ascq = 0;
    return;
  }
  switch (cdb[0]) {
  case 0x00:
    break;
  case 0x25:
  case 0x9e:
    capacity (d, cdb, ret);
    break;
  case 0x1a:
  case 0x5a:
    mode_sense (cdb, ret);
    break;
  case 0x28:
  case 0x2a:
  case 0x35:
  case 0x88:
  case 0x8a:
  case 0x91:
    blocks (d, cdb, data, data_bytes, ret);
    break;
  default:
    check (ret, 5, 0x20, 0);
  }
}
