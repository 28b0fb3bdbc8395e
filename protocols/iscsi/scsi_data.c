/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/iscsi/scsi_data.h"

#include <assert.h>
#include <string.h>

#include "common/wire.h"

/* A field of fixed width, as printable ASCII without spaces at its ends. */
static void
text_of (const uint8_t *p, size_t bytes, char *dst, size_t dst_bytes)
{
  size_t used = 0;

  while (bytes > 0 && (*p == ' ' || *p == 0)) {
    p++;
    bytes--;
  }
  while (bytes > 0 && (p[bytes - 1] == ' ' || p[bytes - 1] == 0))
    bytes--;
  for (size_t i = 0; i < bytes && used + 1 < dst_bytes; i++)
    dst[used++] = p[i] > 0x20 && p[i] < 0x7f ? (char)p[i] : '_';
  dst[used] = 0;
}

enum err
scsi_decode_inquiry (const uint8_t *bytes, size_t length_bytes,
                     struct scsi_inquiry *ret, struct fault *f)
{
  struct scsi_inquiry i = {0};
  const uint8_t *p = bytes;

  /* §6.6.2: at least 36 bytes. */
  if (length_bytes < 36)
    return fault_set (f, ERR_PEER,
                      "the server's INQUIRY data have %zu bytes, not 36 "
                      "(SPC-4 §6.6.2)",
                      length_bytes);
  i.qualifier = p[0] >> 5;
  i.type = p[0] & 0x1f;
  i.removable = p[1] & 0x80;
  text_of (p + 8, 8, i.vendor, sizeof i.vendor);
  text_of (p + 16, 16, i.product, sizeof i.product);
  text_of (p + 32, 4, i.revision, sizeof i.revision);
  *ret = i;
  return ERR_OK;
}

enum err
scsi_decode_capacity_10 (const uint8_t *bytes, size_t length_bytes,
                         struct scsi_capacity *ret, bool *ret_larger,
                         struct fault *f)
{
  struct wire w = wire_init (bytes, length_bytes);
  uint32_t last = wire_u32 (&w);
  uint32_t block_bytes = wire_u32 (&w);

  if (w.err)
    return fault_set (f, ERR_PEER,
                      "the server answers READ CAPACITY(10) with %zu bytes, "
                      "not 8 (SBC-3 §5.15.2)",
                      length_bytes);
  if (last == UINT32_MAX) {
    *ret_larger = true;
    return ERR_OK;
  }
  if (block_bytes < 512 || block_bytes > 65536
      || block_bytes & (block_bytes - 1))
    return fault_set (f, ERR_PEER,
                      "the LUN has blocks of %u bytes (LOGICAL BLOCK LENGTH, "
                      "SBC-3 §5.15.2): 512 to 65536, a power of two, can be "
                      "served",
                      block_bytes);
  *ret_larger = false;
  *ret = (struct scsi_capacity){.blocks = (uint64_t)last + 1,
                                .block_bytes = block_bytes,
                                .physical_blocks = 1};
  return ERR_OK;
}

enum err
scsi_decode_capacity_16 (const uint8_t *bytes, size_t length_bytes,
                         struct scsi_capacity *ret, struct fault *f)
{
  struct wire w = wire_init (bytes, length_bytes);
  uint64_t last = wire_u64 (&w);
  uint32_t block_bytes = wire_u32 (&w);
  uint8_t protection = 0, exponent = 0, provisioning = 0;

  if (w.err)
    return fault_set (f, ERR_PEER,
                      "the server answers READ CAPACITY(16) with %zu bytes, "
                      "not 32 (SBC-3 §5.16.2)",
                      length_bytes);
  if (block_bytes < 512 || block_bytes > 65536
      || block_bytes & (block_bytes - 1))
    return fault_set (f, ERR_PEER,
                      "the LUN has blocks of %u bytes (LOGICAL BLOCK LENGTH, "
                      "SBC-3 §5.16.2): 512 to 65536, a power of two, can be "
                      "served",
                      block_bytes);
  if (last >= (uint64_t)INT64_MAX / block_bytes)
    return fault_set (f, ERR_NOTSUP,
                      "the LUN ends with block %llu, of %u bytes (RETURNED "
                      "LOGICAL BLOCK ADDRESS, SBC-3 §5.16.2): more than 8 EiB, "
                      "which NBD cannot serve",
                      (unsigned long long)last, block_bytes);
  if (wire_left (&w) >= 3) {
    protection = wire_u8 (&w);
    exponent = wire_u8 (&w) & 0x0f;
    provisioning = wire_u8 (&w);
  }
  *ret = (struct scsi_capacity){
      .blocks = last + 1,
      .block_bytes = block_bytes,
      .physical_blocks = 1u << exponent,
      .protection = protection & 0x01,
      .provisioned = provisioning & 0x80,
      .zeroes = provisioning & 0x40,
  };
  return ERR_OK;
}

/* The caching page (SBC-3 §6.5.5) among the pages in w. */
static void
decode_mode_pages (struct wire *w, struct scsi_mode *m)
{
  while (wire_left (w) >= 2) {
    uint8_t code = wire_u8 (w);
    size_t bytes = wire_u8 (w);
    const uint8_t *p;

    if (code & 0x40) { /* SPF: a subpage, with a longer head */
      bytes = (size_t)wire_u8 (w) << 8;
      bytes |= wire_u8 (w);
    }
    p = wire_bytes (w, bytes);
    if (p && (code & 0x7f) == 0x08 && bytes >= 1) {
      m->caching = true;
      m->write_cache = p[0] & 0x04;
    }
  }
}

enum err
scsi_decode_mode (const uint8_t *bytes, size_t length_bytes, bool longer,
                  struct scsi_mode *ret, struct fault *f)
{
  struct wire w = wire_init (bytes, length_bytes);
  size_t said_bytes = longer ? wire_u16 (&w) : wire_u8 (&w);
  uint8_t specific;
  size_t descriptors_bytes;
  struct scsi_mode m = {0};

  wire_u8 (&w); /* medium type */
  specific = wire_u8 (&w);
  if (longer)
    wire_u16 (&w);
  descriptors_bytes = longer ? wire_u16 (&w) : wire_u8 (&w);
  if (w.err)
    return fault_set (f, ERR_PEER,
                      "the server answers MODE SENSE with %zu bytes, less than "
                      "its header (SPC-4 §7.5.5)",
                      length_bytes);
  /* MODE DATA LENGTH does not count itself. */
  said_bytes += longer ? 2 : 1;
  if (said_bytes < length_bytes && said_bytes >= (longer ? 8u : 4u))
    w.end = bytes + said_bytes;
  m.write_protected = specific & 0x80;
  m.dpofua = specific & 0x10;
  if (descriptors_bytes <= wire_left (&w)) {
    wire_bytes (&w, descriptors_bytes);
    decode_mode_pages (&w, &m);
  }
  *ret = m;
  return ERR_OK;
}

static enum err
bad_lba_status (struct fault *f, const char *field, const char *why)
{
  return fault_set (f, ERR_PEER,
                    "the server answers GET LBA STATUS with %s (%s, "
                    "SBC-3 §5.4.2)",
                    why, field);
}

static void
add_extent (uint64_t bytes, uint32_t flags, struct io_extent *ret,
            uint32_t *count)
{
  if (*count > 0 && ret[*count - 1].flags == flags)
    ret[*count - 1].length += bytes;
  else
    ret[(*count)++] = (struct io_extent){.length = bytes, .flags = flags};
}

enum err
scsi_decode_lba_status (const uint8_t *bytes, size_t length_bytes, uint64_t lba,
                        uint32_t blocks, uint32_t block_bytes, bool zeroes,
                        struct io_extent *ret, uint32_t max,
                        uint32_t *ret_count, uint32_t *ret_blocks,
                        struct fault *f)
{
  struct wire w = wire_init (bytes, length_bytes);
  uint64_t at = lba, end = lba + blocks;
  uint32_t count = 0;

  assert (blocks > 0 && max > 0);
  wire_u32 (&w); /* PARAMETER DATA LENGTH: what was sent counts */
  wire_u32 (&w);
  while (at < end && wire_left (&w) >= 16 && count < max) {
    uint64_t from = wire_u64 (&w);
    uint64_t n = wire_u32 (&w);
    uint8_t status = wire_u8 (&w) & 0x0f;
    uint32_t flags = 0;

    wire_bytes (&w, 3);
    /* §5.4.2.1: the first one contains the LBA that was asked about, and
     * each begins where the one before ends.
     */
    if (from > at || n == 0 || from + n < from || from + n <= at) {
      if (at == lba)
        return bad_lba_status (f, "LBA STATUS LOGICAL BLOCK ADDRESS",
                               "another range than was asked about");
      break;
    }
    if (n > 0 && status == 1)
      flags = IO_EXTENT_HOLE | (zeroes ? IO_EXTENT_ZERO : 0);
    else if (status == 2 && zeroes)
      flags = IO_EXTENT_ZERO; /* anchored */
    n = from + n < end ? from + n - at : end - at;
    add_extent (n * block_bytes, flags, ret, &count);
    at += n;
  }
  if (at == lba)
    return bad_lba_status (f, "LBA STATUS DESCRIPTOR", "no descriptor");
  *ret_count = count;
  *ret_blocks = (uint32_t)(at - lba);
  return ERR_OK;
}

bool
scsi_decode_lun (uint64_t bytes, uint16_t *ret)
{
  unsigned method = (unsigned)(bytes >> 62);
  unsigned bus = (unsigned)(bytes >> 56) & 0x3f;

  if (bytes & 0x0000ffffffffffff || method > 1 || (method == 0 && bus != 0))
    return false;
  *ret = (uint16_t)(bytes >> 48 & (method == 0 ? 0x00ffu : 0x3fffu));
  return true;
}

enum err
scsi_decode_luns (const uint8_t *bytes, size_t length_bytes, uint16_t *ret,
                  unsigned max, unsigned *ret_count, unsigned *ret_total,
                  struct fault *f)
{
  struct wire w = wire_init (bytes, length_bytes);
  uint32_t list_bytes = wire_u32 (&w);
  unsigned count = 0;

  wire_u32 (&w);
  if (w.err || list_bytes % 8)
    return fault_set (f, ERR_PEER,
                      "the server answers REPORT LUNS with %zu bytes and a "
                      "LUN LIST LENGTH of %u (SPC-4 §6.33)",
                      length_bytes, list_bytes);
  for (uint32_t i = 0; i < list_bytes / 8 && wire_left (&w) >= 8; i++) {
    uint16_t lun;

    if (scsi_decode_lun (wire_u64 (&w), &lun) && count < max)
      ret[count++] = lun;
  }
  *ret_count = count;
  *ret_total = list_bytes / 8;
  return ERR_OK;
}

void
scsi_encode_lun (uint16_t lun, uint8_t ret[8])
{
  assert (lun < 0x4000);
  memset (ret, 0, 8);
  ret[0] = (uint8_t)(lun > 0xff ? 0x40 | lun >> 8 : 0);
  ret[1] = (uint8_t)lun;
}
