/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "common/listing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
is_control (uint8_t c)
{
  return c < ' ' || c == 0x7f;
}

static bool
name_is_legal (const char *name, size_t name_bytes)
{
  if (!name_bytes || name_bytes >= LISTING_NAME_BYTES)
    return false;
  for (size_t i = 0; i < name_bytes; i++)
    if (is_control ((uint8_t)name[i]))
      return false;
  return true;
}

static enum err
make_room (struct listing *l, size_t bytes)
{
  size_t size = l->size_bytes ? l->size_bytes : 4096;
  uint8_t *base;

  if (l->used_bytes + bytes > LISTING_BYTES)
    return ERR_LIMIT;
  while (size < l->used_bytes + bytes)
    size *= 2;
  if (size == l->size_bytes)
    return ERR_OK;
  base = realloc (l->base, size);
  if (!base)
    return ERR_NOMEM;
  l->base = base;
  l->size_bytes = size;
  return ERR_OK;
}

/* With its NUL. */
static void
append (struct listing *l, const char *text, size_t text_bytes)
{
  memcpy (l->base + l->used_bytes, text, text_bytes);
  l->used_bytes += text_bytes;
  l->base[l->used_bytes++] = 0;
}

enum err
listing_add (struct listing *l, const char *name, size_t name_bytes,
             uint64_t size, const char *description)
{
  char number[24] = "";
  size_t description_bytes =
      strnlen (description, LISTING_DESCRIPTION_BYTES - 1);
  enum err e;

  if (!name_is_legal (name, name_bytes))
    return ERR_OK;
  if (l->entries >= LISTING_ENTRIES)
    return ERR_LIMIT;
  if (size <= INT64_MAX)
    snprintf (number, sizeof number, "%llu", (unsigned long long)size);
  e = make_room (l, name_bytes + strlen (number) + description_bytes + 3);
  if (e)
    return e;
  append (l, name, name_bytes);
  append (l, number, strlen (number));
  append (l, description, description_bytes);
  /* It is for people, and may be a server's: better maimed than the whole list
   * refused by who reads it.
   */
  for (uint8_t *c = l->base + l->used_bytes - 1 - description_bytes; *c; c++)
    if (is_control (*c))
      *c = '?';
  l->entries++;
  return ERR_OK;
}

void
listing_fini (struct listing *l)
{
  free (l->base);
  *l = (struct listing){0};
}

static const char *
take_string (const uint8_t *text, size_t text_bytes, size_t *offset,
             size_t max_bytes)
{
  size_t left = text_bytes - *offset;
  const uint8_t *start = text + *offset;
  const uint8_t *nul = memchr (start, 0, left < max_bytes ? left : max_bytes);

  if (!nul)
    return NULL;
  for (const uint8_t *c = start; c < nul; c++)
    if (is_control (*c))
      return NULL;
  *offset += (size_t)(nul - start) + 1;
  return (const char *)start;
}

static bool
take_size (const char *number, uint64_t *ret)
{
  uint64_t v = 0;

  if (!*number) {
    *ret = LISTING_SIZE_UNKNOWN;
    return true;
  }
  for (; *number; number++) {
    if (*number < '0' || *number > '9' || v > INT64_MAX / 10)
      return false;
    v = v * 10 + (uint64_t)(*number - '0');
    if (v > INT64_MAX)
      return false;
  }
  *ret = v;
  return true;
}

bool
listing_next (const uint8_t *text, size_t text_bytes, size_t *offset,
              struct listing_entry *ret, bool *ret_broken)
{
  struct listing_entry e;
  const char *number;

  *ret_broken = false;
  if (*offset >= text_bytes)
    return false;
  if ((e.name = take_string (text, text_bytes, offset, LISTING_NAME_BYTES))
      && *e.name && (number = take_string (text, text_bytes, offset, 24))
      && take_size (number, &e.size)
      && (e.description = take_string (text, text_bytes, offset,
                                       LISTING_DESCRIPTION_BYTES))) {
    *ret = e;
    return true;
  }
  *ret_broken = true;
  return false;
}
