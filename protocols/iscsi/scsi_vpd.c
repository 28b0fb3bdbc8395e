/* SPDX-License-Identifier: BSD-2-Clause */
/* Vital product data pages: see scsi_data.h. */
#include "config.h"
#include "protocols/iscsi/scsi_data.h"

#include <string.h>

#include "common/wire.h"

/* *ret: behind the header, as far as the page says and was sent. */
static enum err
open_page (const uint8_t *bytes, size_t length_bytes, uint8_t page,
           size_t least_bytes, struct wire *ret, struct fault *f)
{
  struct wire w = wire_init (bytes, length_bytes);
  uint8_t code;
  size_t page_bytes;

  wire_u8 (&w);
  code = wire_u8 (&w);
  page_bytes = wire_u16 (&w);
  if (w.err || code != page)
    return fault_set (f, ERR_PEER,
                      "the server answers INQUIRY for VPD page %02Xh with "
                      "%zu bytes of page %02Xh (PAGE CODE, SPC-4 §7.8)",
                      page, length_bytes, code);
  if (page_bytes > wire_left (&w))
    page_bytes = wire_left (&w);
  if (page_bytes < least_bytes)
    return fault_set (f, ERR_PEER,
                      "the server's VPD page %02Xh has %zu bytes, less than "
                      "%zu (PAGE LENGTH, SPC-4 §7.8)",
                      page, page_bytes, least_bytes);
  w.end = w.p + page_bytes;
  *ret = w;
  return ERR_OK;
}

enum err
scsi_decode_vpd_pages (const uint8_t *bytes, size_t length_bytes,
                       struct scsi_vpd_pages *ret, struct fault *f)
{
  struct scsi_vpd_pages p = {0};
  struct wire w;
  enum err e = open_page (bytes, length_bytes, SCSI_VPD_PAGES, 0, &w, f);

  if (e)
    return e;
  while (wire_left (&w) > 0)
    switch (wire_u8 (&w)) {
    case SCSI_VPD_SERIAL:
      p.serial = true;
      break;
    case SCSI_VPD_IDENTITY:
      p.identity = true;
      break;
    case SCSI_VPD_LIMITS:
      p.limits = true;
      break;
    case SCSI_VPD_CHARACTERISTICS:
      p.characteristics = true;
      break;
    case SCSI_VPD_PROVISIONING:
      p.provisioning = true;
      break;
    default:
      break;
    }
  *ret = p;
  return ERR_OK;
}

/* Printable ASCII; runs of anything else become one '_', none at the ends. */
static size_t
add_text (const uint8_t *p, size_t bytes, char *dst, size_t used,
          size_t dst_bytes)
{
  bool gap = false;
  size_t start = used;

  for (size_t i = 0; i < bytes && used + 1 < dst_bytes; i++) {
    if (p[i] <= 0x20 || p[i] >= 0x7f) {
      gap = used > start;
      continue;
    }
    if (gap && used + 2 < dst_bytes)
      dst[used++] = '_';
    gap = false;
    dst[used++] = (char)p[i];
  }
  dst[used] = 0;
  return used;
}

enum err
scsi_decode_vpd_serial (const uint8_t *bytes, size_t length_bytes,
                        char ret[SCSI_SERIAL_BYTES], struct fault *f)
{
  struct wire w;
  enum err e = open_page (bytes, length_bytes, SCSI_VPD_SERIAL, 0, &w, f);

  if (e)
    return e;
  add_text (w.p, wire_left (&w), ret, 0, SCSI_SERIAL_BYTES);
  return ERR_OK;
}

/* ----------------------------------------------------------------- identity */

struct designator {
  uint8_t code_set, association, type;
  const uint8_t *bytes;
  size_t length_bytes;
};

/* How well it names the LUN, by type (§7.8.6.2.1); 0: not at all. */
static unsigned
rank_of (const struct designator *d)
{
  if (d->association != 0 || d->length_bytes == 0)
    return 0;
  switch (d->type) {
  case 3: /* NAA (§7.8.6.6); 3h, locally assigned, is nobody else's promise */
    if (d->length_bytes != 8 && d->length_bytes != 16)
      return 0;
    return d->bytes[0] >> 4 == 3 ? 2 : 6;
  case 2: /* EUI-64 (§7.8.6.5) */
    return d->length_bytes == 8 || d->length_bytes == 12
                   || d->length_bytes == 16
               ? 5
               : 0;
  case 8: /* SCSI name string (§7.8.6.11) */
    return 4;
  case 1: /* T10 vendor ID (§7.8.6.4) */
    return 3;
  case 0: /* vendor specific */
    return 1;
  default:
    return 0;
  }
}

static size_t
add_hex (const uint8_t *p, size_t bytes, char *dst, size_t used,
         size_t dst_bytes)
{
  static const char digits[] = "0123456789abcdef";

  for (size_t i = 0; i < bytes && used + 2 < dst_bytes; i++) {
    dst[used++] = digits[p[i] >> 4];
    dst[used++] = digits[p[i] & 0x0f];
  }
  dst[used] = 0;
  return used;
}

static void
name_of (const struct designator *d, char dst[SCSI_IDENTITY_BYTES])
{
  static const char *const prefixes[] = {
      [0] = "vendor.", [1] = "t10.", [2] = "eui.", [3] = "naa.", [8] = ""};
  const char *prefix = prefixes[d->type];
  size_t used = strlen (prefix);

  memcpy (dst, prefix, used);
  if (d->type == 2 || d->type == 3 || d->code_set == 1)
    add_hex (d->bytes, d->length_bytes, dst, used, SCSI_IDENTITY_BYTES);
  else
    add_text (d->bytes, d->length_bytes, dst, used, SCSI_IDENTITY_BYTES);
}

enum err
scsi_decode_vpd_identity (const uint8_t *bytes, size_t length_bytes,
                          char ret[SCSI_IDENTITY_BYTES], struct fault *f)
{
  struct designator best = {0};
  unsigned best_rank = 0;
  struct wire w;
  enum err e = open_page (bytes, length_bytes, SCSI_VPD_IDENTITY, 0, &w, f);

  if (e)
    return e;
  while (wire_left (&w) >= 4) {
    struct designator d = {.code_set = wire_u8 (&w) & 0x0f};
    uint8_t kind = wire_u8 (&w);
    unsigned rank;

    d.association = kind >> 4 & 0x03;
    d.type = kind & 0x0f;
    wire_u8 (&w);
    d.length_bytes = wire_u8 (&w);
    d.bytes = wire_bytes (&w, d.length_bytes);
    if (!d.bytes)
      break; /* cut off by our allocation length, or a liar */
    rank = rank_of (&d);
    if (rank > best_rank) {
      best = d;
      best_rank = rank;
    }
  }
  ret[0] = 0;
  if (best_rank)
    name_of (&best, ret);
  return ERR_OK;
}

/* ----------------------------------------------------------------- the rest */

enum err
scsi_decode_vpd_limits (const uint8_t *bytes, size_t length_bytes,
                        struct scsi_limits *ret, struct fault *f)
{
  struct scsi_limits l = {0};
  uint32_t alignment;
  struct wire w;
  enum err e = open_page (bytes, length_bytes, SCSI_VPD_LIMITS, 12, &w, f);

  if (e)
    return e;
  l.write_same_not_zero = wire_u8 (&w) & 0x01;
  wire_u8 (&w);
  l.granularity = wire_u16 (&w);
  l.transfer_max = wire_u32 (&w);
  l.transfer_optimal = wire_u32 (&w);
  /* SBC-2's page ends here: what follows is zero then. */
  wire_u32 (&w);
  l.unmap_max = wire_u32 (&w);
  l.unmap_descriptors = wire_u32 (&w);
  l.unmap_granularity = wire_u32 (&w);
  alignment = wire_u32 (&w);
  if (alignment & 0x80000000u) /* UGAVALID */
    l.unmap_alignment = alignment & 0x7fffffffu;
  l.write_same_max = wire_u64 (&w);
  *ret = l;
  return ERR_OK;
}

enum err
scsi_decode_vpd_characteristics (const uint8_t *bytes, size_t length_bytes,
                                 struct scsi_characteristics *ret,
                                 struct fault *f)
{
  struct wire w;
  enum err e =
      open_page (bytes, length_bytes, SCSI_VPD_CHARACTERISTICS, 2, &w, f);

  if (e)
    return e;
  ret->rotation_rate = wire_u16 (&w);
  return ERR_OK;
}

enum err
scsi_decode_vpd_provisioning (const uint8_t *bytes, size_t length_bytes,
                              struct scsi_provisioning *ret, struct fault *f)
{
  uint8_t bits, type;
  struct wire w;
  enum err e = open_page (bytes, length_bytes, SCSI_VPD_PROVISIONING, 2, &w, f);

  if (e)
    return e;
  wire_u8 (&w);
  bits = wire_u8 (&w);
  type = wire_u8 (&w);
  *ret = (struct scsi_provisioning){
      .unmap = bits & 0x80,
      .write_same_16 = bits & 0x40,
      .write_same_10 = bits & 0x20,
      .zeroes = bits & 0x04,
      .thin = (type & 0x07) == 2,
  };
  return ERR_OK;
}
