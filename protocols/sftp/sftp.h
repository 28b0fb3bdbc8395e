/* SPDX-License-Identifier: BSD-2-Clause */
/* The SFTP engine (draft-ietf-secsh-filexfer-02, version 3, with OpenSSH's
 * extensions): see proto.h for how an engine is used.
 */
#ifndef BH_PROTOCOLS_SFTP_SFTP_H
#define BH_PROTOCOLS_SFTP_SFTP_H

#include "protocols/proto.h"

extern const struct proto_ops sftp_ops;

#endif
