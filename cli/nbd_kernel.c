/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/nbd_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/nbd-netlink.h>
#include <linux/nbd.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#include "common/cleanup.h"

static void
cleanup_msg (struct nl_msg **m)
{
  nlmsg_free (*m);
}

/* Its output is nobody's business: what counts is whether the driver is there
 * afterwards.
 */
static void
load_module (void)
{
  char *argv[] = {(char *)"modprobe", (char *)"nbd", NULL};
  char *env[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
  posix_spawn_file_actions_t actions;
  pid_t pid;

  posix_spawn_file_actions_init (&actions);
  posix_spawn_file_actions_addopen (&actions, STDERR_FILENO, "/dev/null",
                                    O_WRONLY, 0);
  if (posix_spawnp (&pid, argv[0], &actions, NULL, argv, env) == 0)
    while (waitpid (pid, NULL, 0) < 0 && errno == EINTR)
      ;
  posix_spawn_file_actions_destroy (&actions);
}

static enum err
no_driver (struct fault *f)
{
  fault_set (f, ERR_NOTSUP, "this kernel's nbd driver is not loaded");
  if (geteuid () == 0)
    fault_hint (f, "modprobe nbd does not find it: install a kernel with the "
                   "module nbd, or use bulkhead serve");
  else
    fault_hint (f, "modprobe nbd, as root");
  return ERR_NOTSUP;
}

enum err
nbd_kernel_open (struct nbd_kernel *k, struct fault *f)
{
  k->sock = nl_socket_alloc ();
  if (!k->sock)
    return fault_set (f, ERR_NOMEM, "out of memory");
  if (genl_connect (k->sock) < 0) {
    nbd_kernel_close (k);
    return fault_set (f, ERR_NOTSUP, "this kernel has no generic netlink");
  }
  k->family = genl_ctrl_resolve (k->sock, NBD_GENL_FAMILY_NAME);
  if (k->family < 0 && geteuid () == 0) {
    load_module ();
    k->family = genl_ctrl_resolve (k->sock, NBD_GENL_FAMILY_NAME);
  }
  if (k->family < 0) {
    nbd_kernel_close (k);
    return no_driver (f);
  }
  return ERR_OK;
}

void
nbd_kernel_close (struct nbd_kernel *k)
{
  if (k->sock)
    nl_socket_free (k->sock);
  k->sock = NULL;
}

static int
take_index (struct nl_msg *m, void *arg)
{
  struct nlattr *attrs[NBD_ATTR_MAX + 1];

  if (genlmsg_parse (nlmsg_hdr (m), 0, attrs, NBD_ATTR_MAX, NULL) == 0
      && attrs[NBD_ATTR_INDEX])
    *(int *)arg = (int)nla_get_u32 (attrs[NBD_ATTR_INDEX]);
  return NL_OK;
}

/* Sends it and takes the answer; *m is used up. *ret_index is set if the answer
 * names a device.
 */
static int
ask (struct nbd_kernel *k, struct nl_msg **m, int *ret_index)
{
  int r;

  nl_socket_modify_cb (k->sock, NL_CB_VALID, NL_CB_CUSTOM, take_index,
                       ret_index);
  r = nl_send_sync (k->sock, *m); /* frees it */
  *m = NULL;
  return r;
}

static struct nl_msg *
begin (struct nbd_kernel *k, int command)
{
  struct nl_msg *m = nlmsg_alloc ();

  if (m
      && !genlmsg_put (m, NL_AUTO_PORT, NL_AUTO_SEQ, k->family, 0, 0,
                       (uint8_t)command, 0)) {
    nlmsg_free (m);
    return NULL;
  }
  return m;
}

static bool
put_device (struct nl_msg *m, const struct nbd_device *d)
{
  struct nlattr *list;
  bool bad =
      nla_put_u64 (m, NBD_ATTR_SIZE_BYTES, d->size_bytes) < 0
      || nla_put_u64 (m, NBD_ATTR_BLOCK_SIZE_BYTES, d->block_bytes) < 0
      || nla_put_u64 (m, NBD_ATTR_TIMEOUT, d->timeout_s) < 0
      || nla_put_u64 (m, NBD_ATTR_DEAD_CONN_TIMEOUT, d->dead_timeout_s) < 0
      || nla_put_u64 (m, NBD_ATTR_SERVER_FLAGS, d->flags) < 0
      || (d->until_closed
          && nla_put_u64 (m, NBD_ATTR_CLIENT_FLAGS,
                          NBD_CFLAG_DISCONNECT_ON_CLOSE)
                 < 0)
      || nla_put_string (m, NBD_ATTR_BACKEND_IDENTIFIER, d->backend) < 0;

  if (bad)
    return false;
  if (d->sockets == 0)
    return true;
  list = nla_nest_start (m, NBD_ATTR_SOCKETS);
  if (!list)
    return false;
  for (unsigned i = 0; i < d->sockets; i++) {
    struct nlattr *item = nla_nest_start (m, NBD_SOCK_ITEM);

    if (!item || nla_put_u32 (m, NBD_SOCK_FD, (uint32_t)d->socket[i]) < 0)
      return false;
    nla_nest_end (m, item);
  }
  nla_nest_end (m, list);
  return true;
}

/* What libnl makes of errno, in the driver's terms. */
static enum err
wrong (int nl_error, int index, struct fault *f)
{
  char device[32] = "a free /dev/nbdN";

  if (index >= 0)
    snprintf (device, sizeof device, "/dev/nbd%d", index);
  switch (-nl_error) {
  case NLE_PERM:
  case NLE_NOACCESS:
    fault_set (f, ERR_ACCESS, "this user may not set up block devices");
    fault_hint (f, "run it as root (CAP_SYS_ADMIN), or use bulkhead serve");
    return ERR_ACCESS;
  case NLE_BUSY:
    fault_set (f, ERR_AGAIN, "%s is in use", device);
    fault_hint (f, "name no device, and a free one is taken");
    return ERR_AGAIN;
  case NLE_OBJ_NOTFOUND:
  case NLE_NODEV:
  case NLE_INVAL:
    return fault_set (f, ERR_NOENT, "there is no %s, or it is not connected",
                      device);
  default:
    return fault_set (f, ERR_IO, "the nbd driver refuses %s: %s", device,
                      nl_geterror (nl_error));
  }
}

enum err
nbd_kernel_may (struct fault *f)
{
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

  if (syscall (SYS_capget, &header, data) == 0
      && (data[0].effective & (1u << CAP_SYS_ADMIN)))
    return ERR_OK;
  return wrong (-NLE_PERM, -1, f);
}

enum err
nbd_kernel_connect (struct nbd_kernel *k, const struct nbd_device *d,
                    int *ret_index, struct fault *f)
{
  __attribute__ ((cleanup (cleanup_msg))) struct nl_msg *m =
      begin (k, NBD_CMD_CONNECT);
  int index = d->index, r;

  if (!m || (index >= 0 && nla_put_u32 (m, NBD_ATTR_INDEX, (uint32_t)index) < 0)
      || !put_device (m, d))
    return fault_set (f, ERR_NOMEM, "out of memory");
  r = ask (k, &m, &index);
  if (r < 0)
    return wrong (r, d->index, f);
  if (index < 0)
    return fault_set (f, ERR_IO, "the nbd driver does not tell its device");
  *ret_index = index;
  return ERR_OK;
}

enum err
nbd_kernel_reconfigure (struct nbd_kernel *k, const struct nbd_device *d,
                        struct fault *f)
{
  __attribute__ ((cleanup (cleanup_msg))) struct nl_msg *m =
      begin (k, NBD_CMD_RECONFIGURE);
  int ignored, r;

  if (!m || nla_put_u32 (m, NBD_ATTR_INDEX, (uint32_t)d->index) < 0
      || !put_device (m, d))
    return fault_set (f, ERR_NOMEM, "out of memory");
  r = ask (k, &m, &ignored);
  return r < 0 ? wrong (r, d->index, f) : ERR_OK;
}

enum err
nbd_kernel_disconnect (struct nbd_kernel *k, int index, struct fault *f)
{
  __attribute__ ((cleanup (cleanup_msg))) struct nl_msg *m =
      begin (k, NBD_CMD_DISCONNECT);
  int ignored, r;

  if (!m || nla_put_u32 (m, NBD_ATTR_INDEX, (uint32_t)index) < 0)
    return fault_set (f, ERR_NOMEM, "out of memory");
  r = ask (k, &m, &ignored);
  return r < 0 ? wrong (r, index, f) : ERR_OK;
}

enum err
nbd_kernel_listen (struct nbd_kernel *k, int *ret_fd, struct fault *f)
{
  int group = genl_ctrl_resolve_grp (k->sock, NBD_GENL_FAMILY_NAME,
                                     NBD_GENL_MCAST_GROUP_NAME);

  if (group < 0 || nl_socket_add_membership (k->sock, group) < 0
      || nl_socket_set_nonblocking (k->sock) < 0)
    return fault_set (f, ERR_IO, "the nbd driver tells no lost connections");
  nl_socket_disable_seq_check (k->sock);
  *ret_fd = nl_socket_get_fd (k->sock);
  return ERR_OK;
}

struct lost {
  int index;
  bool found;
};

static int
take_lost (struct nl_msg *m, void *arg)
{
  struct lost *l = arg;
  struct nlattr *attrs[NBD_ATTR_MAX + 1];
  struct genlmsghdr *h = nlmsg_data (nlmsg_hdr (m));

  if (h->cmd == NBD_CMD_LINK_DEAD
      && genlmsg_parse (nlmsg_hdr (m), 0, attrs, NBD_ATTR_MAX, NULL) == 0
      && attrs[NBD_ATTR_INDEX]
      && (int)nla_get_u32 (attrs[NBD_ATTR_INDEX]) == l->index)
    l->found = true;
  return NL_OK;
}

bool
nbd_kernel_lost (struct nbd_kernel *k, int index)
{
  struct lost l = {.index = index};

  nl_socket_modify_cb (k->sock, NL_CB_VALID, NL_CB_CUSTOM, take_lost, &l);
  for (int i = 0; i < 64 && nl_recvmsgs_default (k->sock) >= 0; i++)
    ;
  return l.found;
}
