/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/sftp/sftp.h"

const struct proto_ops sftp_ops = {
  .name = "sftp",
  .transport = PROTO_OVER_SSH_SUBSYSTEM,
  .ssh_subsystem = "sftp",
};
