/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "tests/system/registers.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096u
#define GROUP_BYTES (4 * PAGE)
#define GROUP 15u /* 8 + 4 + 2 + 1 registers in four pages */

void
registers_init (struct registers *rs, uint64_t size_bytes)
{
  memset (rs, 0, sizeof *rs);
  rs->count = (uint32_t)(size_bytes / GROUP_BYTES * GROUP);
  rs->reg = calloc (rs->count, sizeof *rs->reg);
  if (!rs->reg)
    abort ();
}

void
registers_free (struct registers *rs)
{
  free (rs->reg);
}

uint64_t
registers_offset (uint32_t r)
{
  uint64_t base = (uint64_t)(r / GROUP) * GROUP_BYTES;
  uint32_t i = r % GROUP;

  if (i < 8)
    return base + i * 512u;
  if (i < 12)
    return base + PAGE + (i - 8) * 1024u;
  if (i < 14)
    return base + 2 * PAGE + (i - 12) * 2048u;
  return base + 3 * PAGE;
}

uint32_t
registers_at (uint64_t offset)
{
  uint32_t r = (uint32_t)(offset / GROUP_BYTES) * GROUP;

  while (registers_offset (r) < offset)
    r++;
  return r;
}

bool
registers_idle (const struct registers *rs, uint32_t first, uint32_t end)
{
  for (uint32_t r = first; r < end; r++)
    if (rs->reg[r].writing)
      return false;
  return true;
}

static uint64_t
word_of (uint32_t r, uint32_t version)
{
  return htole64 ((uint64_t)(r + 1) << 32 | version);
}

void
registers_write (struct registers *rs, uint32_t first, uint32_t end,
                 void *payload)
{
  uint8_t *p = payload;

  for (uint32_t r = first; r < end; r++) {
    struct reg *g = &rs->reg[r];
    uint64_t bytes = registers_offset (r + 1) - registers_offset (r);
    uint64_t word;

    g->begun++;
    g->writing = true;
    if (!p) {
      g->last_zero = g->begun;
      continue;
    }
    word = word_of (r, g->begun);
    for (uint64_t i = 0; i < bytes; i += 8, p += 8)
      memcpy (p, &word, 8);
  }
}

void
registers_written (struct registers *rs, uint32_t first, uint32_t end,
                   bool acknowledged)
{
  for (uint32_t r = first; r < end; r++) {
    struct reg *g = &rs->reg[r];

    g->writing = false;
    if (acknowledged)
      g->acknowledged = g->seen = g->begun;
  }
}

void
registers_floors (const struct registers *rs, uint32_t first, uint32_t end,
                  struct floors *ret)
{
  for (uint32_t r = first; r < end; r++) {
    ret->acknowledged[r - first] = rs->reg[r].acknowledged;
    ret->seen[r - first] = rs->reg[r].seen;
  }
}

/* What was seen of one register; the first few are told in words. */
static bool
bad (struct registers *rs, uint64_t *counter, const char *what, uint32_t r,
     uint64_t word, const struct floors *f, uint32_t i)
{
  (*counter)++;
  if (rs->stale + rs->went_back + rs->invented <= 10)
    fprintf (stderr,
             "register %u at %llu: %s: version %u of register %lld; "
             "acknowledged %u, seen %u before the read; begun %u\n",
             r, (unsigned long long)registers_offset (r), what, (uint32_t)word,
             (long long)(word >> 32) - 1, f->acknowledged[i], f->seen[i],
             rs->reg[r].begun);
  return false;
}

static bool
check_one (struct registers *rs, uint32_t r, const struct floors *f,
           uint32_t i, const uint8_t *data)
{
  struct reg *g = &rs->reg[r];
  uint64_t bytes = registers_offset (r + 1) - registers_offset (r);
  uint32_t least = UINT32_MAX;

  for (uint64_t at = 0; at < bytes; at += 8) {
    uint64_t word;
    uint32_t version;

    memcpy (&word, data + at, 8);
    word = le64toh (word);
    version = word ? (uint32_t)word : g->last_zero;
    rs->words++;
    if (word && (word >> 32 != r + 1 || version == 0 || version > g->begun))
      return bad (rs, &rs->invented, "invented", r, word, f, i);
    if (version < f->acknowledged[i])
      return bad (rs, &rs->stale, "stale", r, word, f, i);
    if (version < f->seen[i])
      return bad (rs, &rs->went_back, "went back", r, word, f, i);
    if (!word)
      version = 0; /* or any other that was zeros */
    if (version < least)
      least = version;
  }
  if (least > g->seen)
    g->seen = least;
  return true;
}

bool
registers_check (struct registers *rs, uint32_t first, uint32_t end,
                 const struct floors *f, const void *data)
{
  const uint8_t *p = data;
  bool good = true;

  for (uint32_t r = first; r < end; r++) {
    good &= check_one (rs, r, f, r - first, p);
    p += registers_offset (r + 1) - registers_offset (r);
  }
  return good;
}
