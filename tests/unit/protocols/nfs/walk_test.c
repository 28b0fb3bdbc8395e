/* SPDX-License-Identifier: BSD-2-Clause */
/* Paths with symbolic links: as text, and with NFSv3 against the fake server.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "protocols/nfs/walk.h"
#include "tests/unit/protocols/nfs/peer.h"
#include "tests/unit/unit.h"

/* A directory tree: what a component is. */
struct node {
  const char *path;   /* "/a/b" */
  const char *target; /* NULL: a directory or a file */
};

static const struct node *
find (const struct node *tree, const char *path, size_t bytes)
{
  for (; tree->path; tree++)
    if (strlen (tree->path) == bytes && memcmp (tree->path, path, bytes) == 0)
      return tree;
  return NULL;
}

/* Walks as the dialects do; *ret is the path without links. */
static enum err
resolve (const struct node *tree, const char *path, const char *root, char *ret,
         struct fault *f)
{
  struct nfs_walk w;
  enum err e = ERR_OK;

  *ret = 0;
  nfs_walk_begin (&w, path);
  while (!e) {
    const char *name;
    size_t at = w.done_bytes, bytes;
    const struct node *n;

    if (!nfs_walk_name (&w, &at, &name, &bytes)) {
      CU_ASSERT (nfs_walk_ends (&w, w.done_bytes)); /* W2 */
      return ERR_OK;
    }
    if (w.done_bytes == 0)
      *ret = 0;
    snprintf (ret + strlen (ret), 4096 - strlen (ret), "/%.*s", (int)bytes,
              name);
    n = find (tree, ret, strlen (ret));
    if (!n)
      return ERR_NOENT;
    if (n->target) {
      e = nfs_walk_follow (&w, at, n->target, root, strlen (root), f);
      *ret = 0;
    } else {
      e = nfs_walk_advance (&w, at, f);
    }
  }
  return e;
}

static void
links_are_followed (void)
{
  static const struct node tree[] = {
      {"/a", NULL},          {"/a/b", NULL},
      {"/a/b/file", NULL},   {"/a/one", "b/file"},
      {"/a/dots", "../a/b"}, {"/a/b/up", "../.."},
      {"/top", "/srv/a"},    {"/a/far", "/srv"},
      {"/a/two", "./one"},   {"/a/b/deep", "../../a/./b//file"},
      {NULL, NULL}};
  static const char *const cases[][2] = {
      {"/a/b/file", "/a/b/file"},
      {"//a/./b//file/", "/a/b/file"},
      {"/a/one", "/a/b/file"},
      {"/a/two", "/a/b/file"},
      {"/a/dots/file", "/a/b/file"},
      {"/a/b/up/a/b/up/a/one", "/a/b/file"},
      {"/top/b/file", "/a/b/file"},
      {"/a/far/top/far/a/b/deep", "/a/b/file"},
      {"/a/far", ""},
  };

  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char got[4096];
    struct fault f = {0};

    CU_ASSERT_EQUAL (resolve (tree, cases[i][0], "/srv", got, &f), ERR_OK);
    CU_ASSERT_STRING_EQUAL (got, cases[i][1]);
    CU_ASSERT_EQUAL (resolve (tree, cases[i][0], "/srv/", got, &f), ERR_OK);
  }
}

static void
links_have_an_end (void)
{
  static const struct node tree[] = {
      {"/a", NULL},         {"/a/self", "self"},     {"/a/x", "../a/y"},
      {"/a/y", "/a/x"},     {"/a/out", "../../b"},   {"/a/empty", ""},
      {"/a/away", "/srv2"}, {"/a/grow", "b/grow"},   {"/a/b", "."},
      {"/a/up", ".."},      {"/a/above", "up/../x"}, {NULL, NULL}};
  static const struct {
    const char *path;
    enum err e;
    const char *words;
  } cases[] = {
      {"/a/self", ERR_LIMIT, "in a circle"},
      {"/a/x", ERR_LIMIT, "in a circle"},
      {"/a/grow", ERR_LIMIT, "in a circle"},
      {"/a/out", ERR_NOENT, "leads out of"},
      {"/a/above", ERR_NOENT, "leads out of"},
      {"/a/empty", ERR_NOENT, "/a/empty leads nowhere"},
      {"/a/away", ERR_NOENT,
       "leads to /srv2, which is not below the export /s"},
  };

  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char got[4096];
    struct fault f = {0};

    CU_ASSERT_EQUAL (
        resolve (tree, cases[i].path, i < 6 ? "" : "/srv", got, &f),
        cases[i].e);
    CU_ASSERT_PTR_NOT_NULL (strstr (f.text, cases[i].words));
    if (!strstr (f.text, cases[i].words))
      printf ("%s: said: %s\n", cases[i].path, f.text);
  }
}

static void
paths_stay_bounded (void)
{
  struct nfs_walk w;
  char long_target[WALK_PATH_MAX_BYTES];
  struct fault f = {0};
  enum err e = ERR_OK;
  unsigned steps = 0;

  memset (long_target, 'x', sizeof long_target - 1);
  long_target[sizeof long_target - 1] = 0;
  nfs_walk_begin (&w, "/l/rest");
  CU_ASSERT_EQUAL (nfs_walk_follow (&w, 2, long_target, "", 0, &f), ERR_LIMIT);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "longer than"));
  CU_ASSERT_STRING_EQUAL (w.path, "/l/rest");
  nfs_walk_begin (&w, "/a");
  while (!e && steps < 10000) {
    e = nfs_walk_advance (&w, 2, &f);
    steps++;
  }
  CU_ASSERT_EQUAL (e, ERR_LIMIT);
  CU_ASSERT_EQUAL (steps, WALK_STEPS_MAX + 1);
}

/* ---------------------------------------------------------------- NFSv3 --- */

static struct peer
with_links (const char *path)
{
  struct peer s;

  peer_init (&s, path);
  s.server.link[0].name = "link";
  s.server.link[0].target = "disk.img";
  s.server.link[1].name = "up";
  s.server.link[1].target = "..";
  s.server.link[2].name = "abs";
  s.server.link[2].target = FAKE_EXPORT "/dir";
  s.server.link[3].name = "self";
  s.server.link[3].target = "self";
  return s;
}

static void
v3_follows_links (void)
{
  static const char *const paths[] = {FAKE_EXPORT "/dir/link",
                                      FAKE_EXPORT "/abs/link",
                                      FAKE_EXPORT "/dir/up/abs/up/dir/link"};

  for (unsigned i = 0; i < 3; i++)
    for (unsigned attributes = 0; attributes < 2; attributes++) {
      struct peer s = with_links (paths[i]);
      struct volume_info info;

      s.server.no_attributes = !attributes;
      CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
      nfs_ops.info (s.p, &info);
      CU_ASSERT_STRING_EQUAL (
          info.identity, "nfs3 fsid 000000000000004d fileid 00000000000003eb");
      peer_fini (&s);
    }
}

static void
v3_says_where_links_end (void)
{
  static const struct {
    const char *path, *target, *words;
  } cases[] = {
      {FAKE_EXPORT "/dir/self", NULL, "in a circle"},
      {FAKE_EXPORT "/link", NULL, FAKE_EXPORT "/disk.img: no such file"},
      {FAKE_EXPORT "/up/x", NULL, "leads out of what the server exports"},
      {FAKE_EXPORT "/dir/link", "/elsewhere/x",
       "not below the export /srv/exp"},
      {FAKE_EXPORT "/dir/link/x", NULL,
       "/dir/disk.img is a regular file, not a d"},
      {FAKE_EXPORT "/dir/link", "", "leads nowhere"},
      {FAKE_EXPORT "/dir/abs", NULL, "is a directory"},
  };

  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct peer s = with_links (cases[i].path);

    if (cases[i].target)
      s.server.link[0].target = cases[i].target;
    CU_ASSERT_EQUAL (peer_start (&s), PROTO_FAILED);
    CU_ASSERT_PTR_NOT_NULL (strstr (nfs_ops.fault (s.p)->text, cases[i].words));
    if (!strstr (nfs_ops.fault (s.p)->text, cases[i].words))
      printf ("said: %s\n", nfs_ops.fault (s.p)->text);
    peer_fini (&s);
  }
}

/* The server swears that each name is a link to a longer one. */
static void
v3_is_not_led_for_ever (void)
{
  struct peer s = with_links (FAKE_EXPORT "/dir/link");

  s.server.link[0].target = "link/link/link/link/link/link/link/link/link";
  CU_ASSERT_EQUAL (peer_start (&s), PROTO_FAILED);
  CU_ASSERT (s.server.calls[3] < 200); /* LOOKUP */
  peer_fini (&s);
}

UNIT_MAIN ("nfs walk", UNIT_TEST (links_are_followed),
           UNIT_TEST (links_have_an_end), UNIT_TEST (paths_stay_bounded),
           UNIT_TEST (v3_follows_links), UNIT_TEST (v3_says_where_links_end),
           UNIT_TEST (v3_is_not_led_for_ever))
