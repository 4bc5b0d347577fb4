// The border between the core and libponder-onednn.so: C types only. The module exports ponder_onednn_entry alone.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define PONDER_ONEDNN_ABI 1u

struct ponder_onednn_table {
  uint32_t struct_size;
  uint32_t abi;
  const char* version;  // of oneDNN, "2.6.3"
  /* The contract of matmul_bf16_fast (kernels/matmul_bf16/matmul_bf16.h) for rows [0, n_rows) of w, which has rows
   * w_stride_bytes apart and is read in place. One thread. 0, or not 0 where oneDNN has no fast implementation for this CPU
   * or failed: y is then unspecified and the caller computes it. Allocates. */
  int (*matmul_bf16)(float* y, size_t y_stride, const float* x, size_t x_stride, const void* w, size_t w_stride_bytes,
                     size_t n_tokens, size_t n_rows, size_t n_in);
};

/* The table, or NULL for an unknown abi or where oneDNN does not work on this machine. */
typedef const struct ponder_onednn_table* ponder_onednn_entry_fn(uint32_t abi);
