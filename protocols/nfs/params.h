/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BH_PROTOCOLS_NFS_PARAMS_H
#define BH_PROTOCOLS_NFS_PARAMS_H

#include "common/param.h"

extern const struct param nfs_params[];

#endif
