/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "tests/unit/protocols/iscsi/lun.h"

#include <stdlib.h>
#include <string.h>

#include "common/wire.h"

#define STORE_BYTES (4u << 20)

void
lun_init (struct lun *l, uint64_t blocks, uint32_t block_bytes)
{
  memset (l, 0, sizeof *l);
  l->blocks = blocks;
  l->block_bytes = block_bytes;
  l->store = calloc (1, STORE_BYTES);
  l->store_blocks = STORE_BYTES / block_bytes;
  l->dpofua = l->write_cache = true;
}

void
lun_fini (struct lun *l)
{
  free (l->store);
}

enum err
session_submit (struct session *s, const struct session_command *c,
                uint64_t now_ns)
{
  (void)now_ns;
  if (s->refuse > 0) {
    s->refuse--;
    return ERR_AGAIN;
  }
  if (s->count == SESSION_COMMANDS)
    return ERR_AGAIN;
  s->command[(s->first + s->count++) % SESSION_COMMANDS] = *c;
  return ERR_OK;
}

/* Fixed format. */
static void
check (struct session_result *r, uint8_t key, uint8_t asc, uint8_t ascq,
       bool deferred)
{
  memset (r->sense, 0, 18);
  r->status = 0x02;
  r->sense_bytes = 18;
  r->sense[0] = deferred ? 0x71 : 0x70;
  r->sense[2] = key;
  r->sense[7] = 10;
  r->sense[12] = asc;
  r->sense[13] = ascq;
}

static void
answer (const struct session_command *c, struct session_result *r,
        const struct wirebuf *b)
{
  size_t n = b->used_bytes < c->length_bytes ? b->used_bytes : c->length_bytes;

  memcpy (c->data, b->base, n);
  r->transferred_bytes = (uint32_t)n;
  r->overflow_bytes = (uint32_t)(b->used_bytes - n);
}

static void
zeroes (struct wirebuf *b, size_t n)
{
  memset (wirebuf_room (b, n), 0, n);
}

static bool
vpd (const struct lun *l, uint8_t page, struct wirebuf *b)
{
  wirebuf_u8 (b, 0);
  wirebuf_u8 (b, page);
  switch (page) {
  case 0x00:
    wirebuf_u16 (b, l->no_identity ? 4 : 5);
    wirebuf_bytes (b, "\x00\x80\xb0\xb2\x83", l->no_identity ? 4 : 5);
    return true;
  case 0x80:
    wirebuf_u16 (b, 4);
    wirebuf_bytes (b, " S1 ", 4);
    return true;
  case 0x83:
    wirebuf_u16 (b, 12);
    wirebuf_bytes (b, l->nameless ? "\1\x13" : "\1\3", 2); /* a port's */
    wirebuf_bytes (b, "\0\x08\x60\1\2\3\4\5\6\7", 10);
    return true;
  case 0xb0:
    wirebuf_u16 (b, 60);
    zeroes (b, 4);
    wirebuf_u32 (b, l->transfer_max);
    zeroes (b, 8);
    wirebuf_u32 (b, l->unmap_max);
    wirebuf_u32 (b, 1);
    wirebuf_u32 (b, l->granularity);
    wirebuf_u32 (b, l->alignment ? 0x80000000u | l->alignment : 0);
    wirebuf_u64 (b, l->write_same_max);
    zeroes (b, 20);
    return true;
  case 0xb2:
    wirebuf_u16 (b, 4);
    wirebuf_u8 (b, 0);
    wirebuf_u8 (b, l->thin ? 0xc4 : 0);
    wirebuf_u8 (b, l->thin ? 2 : 0);
    wirebuf_u8 (b, 0);
    return true;
  default:
    return false;
  }
}

static bool
tell (const struct lun *l, const uint8_t *cdb, struct wirebuf *b)
{
  uint8_t mode = (uint8_t)(l->write_protect << 7 | l->dpofua << 4);

  switch (cdb[0]) {
  case 0x12:
    if (cdb[1] & 1)
      return !l->no_vpd && vpd (l, cdb[2], b);
    wirebuf_u8 (b, l->no_such_lun ? 0x7f : l->type);
    zeroes (b, 7);
    wirebuf_bytes (b, "TEST    A LUN           0001", 28);
    return true;
  case 0x25:
    wirebuf_u32 (b, l->blocks > UINT32_MAX ? UINT32_MAX
                                           : (uint32_t)(l->blocks - 1));
    wirebuf_u32 (b, l->block_bytes);
    return true;
  case 0x1a:
    if (l->no_mode_6)
      return false;
    wirebuf_bytes (b, "\x0f\0", 2);
    wirebuf_u8 (b, mode);
    wirebuf_bytes (b, "\0\x08\x0a", 3);
    wirebuf_u8 (b, l->write_cache ? 0x04 : 0);
    zeroes (b, 9);
    return true;
  case 0x5a:
    wirebuf_bytes (b, "\0\x12\0", 3);
    wirebuf_u8 (b, mode);
    wirebuf_bytes (b, "\0\0\0\0\x08\x0a", 6);
    wirebuf_u8 (b, l->write_cache ? 0x04 : 0);
    zeroes (b, 9);
    return true;
  case 0xa0:
    wirebuf_bytes (b, "\0\0\0\x10\0\0\0\0", 8);
    wirebuf_bytes (b, "\0\0\0\0\0\0\0\0\0\5\0\0\0\0\0\0", 16);
    return true;
  case 0x9e:
    if ((cdb[1] & 0x1f) == 0x10) {
      if (l->no_capacity_16)
        return false;
      wirebuf_u64 (b, l->blocks - 1);
      wirebuf_u32 (b, l->block_bytes);
      wirebuf_u16 (b, 0);
      wirebuf_u8 (b, l->thin ? 0xc0 : 0);
      zeroes (b, 17);
      return true;
    }
    if (!l->thin)
      return false;
    wirebuf_bytes (b, "\0\0\0\x14\0\0\0\0", 8);
    wirebuf_bytes (b, cdb + 2, 8);
    wirebuf_u32 (b, 8);
    wirebuf_bytes (b, "\1\0\0\0", 4);
    wirebuf_bytes (b, cdb + 2, 7);
    wirebuf_u8 (b, (uint8_t)(cdb[9] + 8));
    wirebuf_bytes (b, "\0\0\xff\xff\0\0\0\0", 8);
    return true;
  default:
    return false;
  }
}

static void
move (struct lun *l, const struct session_command *c, uint64_t lba,
      uint32_t blocks, bool write)
{
  for (uint32_t i = 0; i < blocks; i++) {
    uint8_t *at = l->store + (lba + i) % l->store_blocks * l->block_bytes;
    uint8_t *data = c->data + (size_t)i * l->block_bytes;

    if (write)
      memcpy (at, data, l->block_bytes);
    else
      memcpy (data, at, l->block_bytes);
  }
}

static void
blocks_command (struct lun *l, const struct session_command *c,
                struct session_result *r)
{
  struct wire w = wire_init (c->cdb + 2, 14);
  bool longer = c->cdb[0] >= 0x80;
  uint64_t lba = longer ? wire_u64 (&w) : wire_u32 (&w);
  uint32_t blocks;

  if (!longer)
    wire_u8 (&w);
  blocks = longer ? wire_u32 (&w) : wire_u16 (&w);
  if (lba + blocks > l->blocks) {
    check (r, 5, 0x21, 0, false);
    return;
  }
  switch (c->cdb[0] & 0x1f) {
  case 0x08: /* READ */
  case 0x0a: /* WRITE */
    if (c->length_bytes != blocks * l->block_bytes) {
      check (r, 5, 0x24, 0, false);
      return;
    }
    move (l, c, lba, blocks, (c->cdb[0] & 0x1f) == 0x0a);
    r->transferred_bytes = c->length_bytes - l->short_by;
    break;
  case 0x01: /* WRITE SAME */
  case 0x13:
    r->transferred_bytes = c->length_bytes;
    for (uint32_t i = 0; i < blocks; i++)
      memcpy (l->store + (lba + i) % l->store_blocks * l->block_bytes, c->data,
              l->block_bytes);
    break;
  }
}

static void
carry_out (struct lun *l, const struct session_command *c,
           struct session_result *r)
{
  uint8_t buffer[256];
  struct wirebuf b = wirebuf_init (buffer, sizeof buffer);
  struct wire w;

  switch (c->cdb[0]) {
  case 0x00:
  case 0x35:
  case 0x91:
    break;
  case 0x28:
  case 0x2a:
  case 0x88:
  case 0x8a:
  case 0x41:
  case 0x93:
    blocks_command (l, c, r);
    break;
  case 0x42:
    w = wire_init (c->data + 8, 12);
    l->unmapped_lba = wire_u64 (&w);
    l->unmapped_blocks = wire_u32 (&w);
    r->transferred_bytes = c->length_bytes;
    break;
  default:
    if (tell (l, c->cdb, &b))
      answer (c, r, &b);
    else
      check (r, 5, c->cdb[0] == 0x9e || c->cdb[0] == 0x5a ? 0x20 : 0x24, 0,
             false);
  }
}

bool
lun_serve (struct lun *l, struct session_result *ret)
{
  struct session *s = &l->session;
  struct session_command *c = &s->command[s->first];

  if (s->count == 0)
    return false;
  s->first = (s->first + 1) % SESSION_COMMANDS;
  s->count--;
  memset (ret, 0, sizeof *ret);
  ret->tag = c->tag;
  ret->lun = c->lun;
  memcpy (l->cdb, c->cdb, sizeof l->cdb);
  l->served[c->cdb[0]]++;
  for (unsigned i = 0; i < sizeof l->fault / sizeof l->fault[0]; i++) {
    struct lun_fault *f = &l->fault[i];

    if (f->times == 0 || (f->opcode != LUN_ANY && f->opcode != c->cdb[0]))
      continue;
    f->times--;
    ret->outcome = f->outcome;
    if (f->outcome != SESSION_DONE)
      return true;
    ret->status = f->status;
    if (f->status == 0x02)
      check (ret, f->key, f->asc, f->ascq, f->deferred);
    return true;
  }
  carry_out (l, c, ret);
  return true;
}
