/* SPDX-License-Identifier: BSD-2-Clause */
/* XDR, portmap, MOUNT and NFSv3 byte by byte, from the layouts of RFC 4506, RFC
 * 1833 and RFC 1813, and every result cut short at every byte.
 */
#include "config.h"

#include <string.h>

#include "protocols/nfs/mount_codec.h"
#include "protocols/nfs/nfs3_codec.h"
#include "tests/unit/unit.h"

/* A string of hexadecimal digits and blanks as bytes. */
static size_t
hex (const char *s, uint8_t *ret)
{
  size_t n = 0;
  unsigned v;

  for (; *s; s++)
    if (*s != ' ') {
      sscanf (s++, "%2x", &v);
      ret[n++] = (uint8_t)v;
    }
  return n;
}

static bool
is (const struct wirebuf *b, const char *expected)
{
  static uint8_t bytes[1000];
  size_t n = hex (expected, bytes);

  return b->err == ERR_OK && b->used_bytes == n
         && memcmp (b->base, bytes, n) == 0;
}

static const struct nfs3_fh fh = {5, {0xaa, 0xbb, 0xcc, 0xdd, 0xee}};
#define FH "00000005 aabbccddee 000000"
#define VERF "0102030405060708"
/* type mode nlink uid gid size used rdev fsid fileid atime mtime ctime */
#define ATTR                                                                   \
  "00000001 000001a4 00000001 00000064 00000065 0000000100000000 "             \
  "0000000000001000 0000000000000000 0000000000000022 0000000000000033 "       \
  "00000001 00000002 00000003 00000004 00000005 00000006"
#define POST "00000001" ATTR
#define NONE "00000000"
#define WCC "00000001 0000000000000001 0000000200000003 0000000400000005" POST

static void
arguments (void)
{
  uint8_t buffer[256];
  struct wirebuf b = wirebuf_init (buffer, sizeof buffer);

#define FRESH b = wirebuf_init (buffer, sizeof buffer)
  nfs3_put_fh (&b, &fh);
  CU_ASSERT (is (&b, FH));
  FRESH;
  nfs3_put_lookup (&b, &fh, "disk.img", 8);
  CU_ASSERT (is (&b, FH "00000008 6469736b2e696d67"));
  FRESH;
  nfs3_put_access (&b, &fh, NFS3_ACCESS_READ | NFS3_ACCESS_MODIFY);
  CU_ASSERT (is (&b, FH "00000005"));
  FRESH;
  nfs3_put_read (&b, &fh, 0x123456789a, 0x10000);
  CU_ASSERT (is (&b, FH "000000123456789a 00010000"));
  FRESH;
  nfs3_put_write (&b, &fh, 1, 2, NFS3_FILE_SYNC);
  CU_ASSERT (is (&b, FH "0000000000000001 00000002 00000002"));
  FRESH;
  nfs3_put_commit (&b, &fh, 0, 0);
  CU_ASSERT (is (&b, FH "0000000000000000 00000000"));
  FRESH;
  nfs3_put_readdirplus (&b, &fh, 7, (const uint8_t[]){1, 2, 3, 4, 5, 6, 7, 8},
                        0x1000, 0x2000);
  CU_ASSERT (is (&b, FH "0000000000000007" VERF "00001000 00002000"));
  FRESH;
  portmap_put_getport (&b, 100005, 3);
  CU_ASSERT (is (&b, "000186a5 00000003 00000006 00000000"));
  FRESH;
  mount_put_mnt (&b, "/srv", 4);
  CU_ASSERT (is (&b, "00000004 2f737276"));
}

/* Any of the decoders: 0 or the status; what it took is in the statics. */
static struct nfs3_attr attr;
static struct nfs3_fh got_fh;
static uint32_t granted;
static struct nfs3_fsinfo fsinfo;
static struct nfs3_pathconf pathconf;
static struct nfs3_read rd;
static struct nfs3_write wr;
static uint8_t verf[8];
static unsigned entries;
static bool eof, sys, none, has_attr;
static char target[16];

enum what { GETATTR, LOOKUP, ACCESS, FSINFO, PATHCONF, READ, WRITE, COMMIT,
            LIST, MNT, EXPORT, GETPORT, READLINK };

static uint32_t
take (enum what what, struct xdr *x)
{
  struct nfs3_entry e;
  const char *dir;
  size_t n;
  uint32_t s = 0;

  switch (what) {
  case GETATTR:
    return nfs3_take_getattr (x, &attr);
  case LOOKUP:
    return nfs3_take_lookup (x, &got_fh, &has_attr, &attr);
  case READLINK:
    return nfs3_take_readlink (x, target, sizeof target);
  case ACCESS:
    return nfs3_take_access (x, &granted);
  case FSINFO:
    return nfs3_take_fsinfo (x, &fsinfo);
  case PATHCONF:
    return nfs3_take_pathconf (x, &pathconf);
  case READ:
    return nfs3_take_read (x, &rd);
  case WRITE:
    return nfs3_take_write (x, &wr);
  case COMMIT:
    return nfs3_take_commit (x, verf);
  case LIST:
    s = nfs3_take_readdirplus (x, verf);
    for (entries = 0; s == 0 && nfs3_take_entry (x, &e, &eof); entries++)
      ;
    return s;
  case MNT:
    return mount_take_mnt (x, &got_fh, &sys, &none);
  case EXPORT:
    for (entries = 0; mount_take_export (x, &dir, &n); entries++)
      ;
    return 0;
  case GETPORT:
    return portmap_take_getport (x);
  }
  return s;
}

/* Whole: status. With a byte too many (what does not end the record but READ
 * excepted) and cut at each byte: broken, and the field is named.
 */
static uint32_t
whole (enum what what, const char *text)
{
  uint8_t bytes[1000];
  size_t n = hex (text, bytes);
  struct xdr x;
  uint32_t s;

  for (size_t cut = 0; cut < n; cut++) {
    struct fault f = {0};

    x = xdr_init (bytes, cut);
    take (what, &x);
    CU_ASSERT_PTR_NOT_NULL_FATAL (x.bad);
    CU_ASSERT (x.lack_bytes > 0);
    CU_ASSERT_EQUAL (xdr_fault (&x, "X", &f), ERR_PEER);
    CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "cut short"));
    CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "RFC 1"));
  }
  memset (bytes + n, 0, 4);
  x = xdr_init (bytes, n + 4);
  take (what, &x);
  CU_ASSERT (what == READ || x.bad);
  x = xdr_init (bytes, n);
  s = take (what, &x);
  CU_ASSERT_PTR_NULL (x.bad);
  return s;
}

static bool
broken (enum what what, const char *text, const char *field)
{
  uint8_t bytes[1000];
  size_t n = hex (text, bytes);
  struct xdr x = xdr_init (bytes, n);
  struct fault f;

  take (what, &x);
  if (!x.bad || x.lack_bytes || xdr_fault (&x, "X", &f) != ERR_PEER)
    return false;
  return strstr (f.text, field) != NULL;
}

static void
results (void)
{
  CU_ASSERT_EQUAL (whole (GETATTR, "00000000" ATTR), 0);
  CU_ASSERT_EQUAL (attr.type, NF3REG);
  CU_ASSERT_EQUAL (attr.size, 0x100000000);
  CU_ASSERT_EQUAL (attr.fsid, 0x22);
  CU_ASSERT_EQUAL (attr.fileid, 0x33);
  CU_ASSERT_EQUAL (attr.mtime.seconds, 3);
  CU_ASSERT_EQUAL (attr.ctime.nseconds, 6);
  CU_ASSERT_EQUAL (whole (LOOKUP, "00000000" FH NONE POST), 0);
  CU_ASSERT (got_fh.length_bytes == 5 && got_fh.bytes[4] == 0xee);
  CU_ASSERT (!has_attr);
  CU_ASSERT_EQUAL (whole (LOOKUP, "00000000" FH POST NONE), 0);
  CU_ASSERT (has_attr && attr.fileid == 0x33);
  CU_ASSERT_EQUAL (
      whole (READLINK, "00000000" POST "00000005 2e2e2f61 62000000"), 0);
  CU_ASSERT_STRING_EQUAL (target, "../ab");
  CU_ASSERT_EQUAL (whole (READLINK, "00000016" NONE), NFS3ERR_INVAL);
  CU_ASSERT_EQUAL (whole (LOOKUP, "00000002" POST), NFS3ERR_NOENT);
  CU_ASSERT_EQUAL (whole (ACCESS, "00000000" POST "0000000d"), 0);
  CU_ASSERT_EQUAL (granted, 13);
  CU_ASSERT_EQUAL (
      whole (FSINFO, "00000000" NONE "00100000 00010000 00000200 00200000 "
                     "00020000 00000200 00002000 7fffffffffffffff "
                     "00000000 00000001 0000001b"),
      0);
  CU_ASSERT (fsinfo.rtmax == 0x100000 && fsinfo.wtmax == 0x200000
             && fsinfo.dtpref == 0x2000 && fsinfo.maxfilesize == INT64_MAX);
  CU_ASSERT_EQUAL (whole (PATHCONF, "00000000" NONE "00007fff 000000ff "
                                    "00000001 00000001 00000000 00000001"),
                   0);
  CU_ASSERT (pathconf.name_max == 255 && pathconf.no_trunc);
  CU_ASSERT_EQUAL (whole (READ, "00000000" POST "00000fff 00000001 00000fff"),
                   0);
  CU_ASSERT (rd.count == 4095 && rd.eof && rd.data_bytes == 4095);
  CU_ASSERT_EQUAL (whole (WRITE, "00000000" WCC "00001000 00000002" VERF), 0);
  CU_ASSERT (wr.count == 4096 && wr.committed == NFS3_FILE_SYNC
             && wr.verifier[7] == 8);
  CU_ASSERT_EQUAL (whole (WRITE, "0000001c" WCC), NFS3ERR_NOSPC);
  CU_ASSERT_EQUAL (whole (COMMIT, "00000000" NONE NONE VERF), 0);
  CU_ASSERT_EQUAL (verf[0], 1);
  CU_ASSERT_EQUAL (whole (COMMIT, "00002718" NONE POST), NFS3ERR_JUKEBOX);
  CU_ASSERT_EQUAL (whole (LIST, "00000000" POST VERF "00000001 "
                                "0000000000000009 00000001 61000000 "
                                "0000000000000001" POST "00000001" FH
                                "00000001 000000000000000a 00000002 62620000 "
                                "0000000000000002" NONE NONE
                                "00000000 00000001"),
                   0);
  CU_ASSERT (entries == 2 && eof);
}

static void
mount_and_portmap (void)
{
  CU_ASSERT_EQUAL (whole (GETPORT, "00004e50"), 20048);
  CU_ASSERT_EQUAL (whole (MNT, "00000000" FH "00000002 00000001 0005f373"), 0);
  CU_ASSERT (sys && !none && got_fh.length_bytes == 5);
  CU_ASSERT_EQUAL (whole (MNT, "0000000d"), MNT3ERR_ACCES);
  CU_ASSERT_EQUAL (whole (EXPORT, "00000001 00000004 2f737276 00000001 "
                                  "00000001 2a000000 00000000 00000001 "
                                  "00000001 2f000000 00000000 00000000"),
                   0);
  CU_ASSERT_EQUAL (entries, 2);
}

static void
lies (void)
{
  CU_ASSERT (broken (GETATTR, "000000ff", "status, RFC 1813"));
  CU_ASSERT (broken (GETATTR, "00000000 00000008", "fattr3.type"));
  CU_ASSERT (broken (GETATTR, "00000000 00000000" ATTR, "fattr3.type"));
  CU_ASSERT (broken (LOOKUP, "00000000 00000041", "nfs_fh3.data"));
  CU_ASSERT (broken (LOOKUP, "00000000 00000000" NONE NONE, "nfs_fh3.data"));
  CU_ASSERT (broken (LOOKUP, "00000000 ffffffff", "nfs_fh3.data"));
  CU_ASSERT (broken (READLINK, "00000000" NONE "00000010", "READLINK3resok"));
  CU_ASSERT (broken (READLINK, "00000000" NONE "00000002 61000000",
                     "READLINK3resok.data"));
  CU_ASSERT (broken (ACCESS, "00000000 00000002", "attributes_follow"));
  CU_ASSERT (broken (READ, "00000000" NONE "00000010 00000001 00000011",
                     "READ3resok.data"));
  CU_ASSERT (broken (READ, "00000000" NONE "00000010 00000002 00000010",
                     "READ3resok.eof"));
  CU_ASSERT (broken (WRITE, "00000000" NONE NONE "00000010 00000003" VERF,
                     "committed"));
  CU_ASSERT (broken (LIST, "00000000" NONE VERF "00000001 0000000000000001 "
                           "00000401",
                     "entryplus3.name"));
  CU_ASSERT (broken (LIST, "00000000" NONE VERF "00000007", "entries"));
  CU_ASSERT (broken (MNT, "00000001" "00000000", "bytes behind"));
  CU_ASSERT (broken (MNT, "00000003", "mountstat3"));
  CU_ASSERT (broken (MNT, "00000000" FH "00000041", "auth_flavors"));
  CU_ASSERT (broken (EXPORT, "00000001 00000401", "ex_dir"));
  CU_ASSERT (broken (EXPORT, "00000001 00000001 2f000000 00000001 00000100",
                     "ex_groups"));
  CU_ASSERT (broken (GETPORT, "00010000", "port"));
}

static void
statuses (void)
{
  CU_ASSERT_STRING_EQUAL (nfs3_status_name (NFS3ERR_STALE), "NFS3ERR_STALE");
  CU_ASSERT_EQUAL (nfs3_status_err (NFS3ERR_DQUOT), ERR_NOSPC);
  CU_ASSERT_EQUAL (nfs3_status_err (NFS3ERR_ROFS), ERR_ROFS);
  CU_ASSERT_EQUAL (nfs3_status_err ((enum nfs3_status)4711), ERR_IO);
  CU_ASSERT_STRING_EQUAL (mount_status_name (MNT3ERR_ACCES), "MNT3ERR_ACCES");
  CU_ASSERT_EQUAL (mount_status_err (MNT3ERR_NOENT), ERR_NOENT);
}

static void
xdr_basics (void)
{
  uint8_t bytes[64];
  size_t n = hex ("00000001 00000000 00000003 61620000 00000003 61626300 "
                  "00000002 61620000 ffffffff",
                  bytes);
  struct xdr x = xdr_init (bytes, n);
  char text[4];
  size_t length;

  CU_ASSERT_TRUE (xdr_bool (&x, "f"));
  CU_ASSERT_FALSE (xdr_bool (&x, "f"));
  xdr_cstring (&x, text, sizeof text, "f"); /* "ab\0": a NUL inside */
  CU_ASSERT_STRING_EQUAL (text, "");
  CU_ASSERT_STRING_EQUAL (x.bad, "f");
  x = xdr_init (bytes + 16, n - 16);
  xdr_cstring (&x, text, sizeof text, "f");
  CU_ASSERT_STRING_EQUAL (text, "abc");
  xdr_opaque (&x, 1, &length, "first");
  CU_ASSERT_EQUAL (length, 0);
  xdr_u32 (&x, "second");
  CU_ASSERT_STRING_EQUAL (x.bad, "first"); /* the first one is blamed */
  CU_ASSERT_EQUAL (x.lack_bytes, 0);
  x = xdr_init (bytes + n - 4, 4);
  CU_ASSERT_PTR_NULL (xdr_opaque (&x, SIZE_MAX, &length, "f"));
  CU_ASSERT (x.lack_bytes > UINT32_MAX - 10ull);
}

UNIT_MAIN ("nfs3 codec", UNIT_TEST (xdr_basics), UNIT_TEST (arguments),
           UNIT_TEST (results), UNIT_TEST (mount_and_portmap), UNIT_TEST (lies),
           UNIT_TEST (statuses))
