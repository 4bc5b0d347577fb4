/* The border between the core and a module that computes on a device (libponder-cuda.so): C types only. The module exports
 * ponder_backend_entry alone and never links to ponder.
 *
 * A device is opened once and may be used by any thread; a queue runs its operations in order and belongs to one thread at a
 * time. Operations of a queue return at once, read and write device memory and report nothing: the first failure stays in the
 * queue, and queue_wait() returns it. Element types are the numbers of core::DType (lib/base/dtype.h). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define PONDER_DEVICE_ABI 1u

#define PONDER_TYPE_F32 0u
#define PONDER_TYPE_F16 1u
#define PONDER_TYPE_BF16 2u
#define PONDER_TYPE_F8_E4M3 3u
#define PONDER_TYPE_Q4_0 11u
#define PONDER_TYPE_Q8_0 15u
#define PONDER_TYPE_Q4_K 18u
#define PONDER_TYPE_Q5_K 19u
#define PONDER_TYPE_Q6_K 20u

/* Flags of matmul. */
#define PONDER_MATMUL_ACCUMULATE 1u
#define PONDER_MATMUL_QUICK 2u

/* Results: what the core makes statuses of. */
#define PONDER_DEVICE_OK 0
#define PONDER_DEVICE_NO_MEMORY 1
#define PONDER_DEVICE_LOST 2        /* nothing on this device works any more */
#define PONDER_DEVICE_UNSUPPORTED 3 /* driver too old, no device, not something this module can do */
#define PONDER_DEVICE_FAILED 4

typedef struct ponder_device ponder_device;
typedef struct ponder_queue ponder_queue;

typedef struct ponder_device_error {
  int32_t code;
  char message[252];
} ponder_device_error;

typedef struct ponder_device_info {
  char name[64];
  uint32_t compute_capability; /* 90: 9.0 */
  uint32_t driver_version;     /* 13000: 13.0 */
  uint64_t total_bytes, free_bytes;
} ponder_device_info;

/* Activations: `rows` rows of a matrix, `stride` elements apart. f32 or bf16. */
typedef struct ponder_device_rows {
  void* data;
  uint64_t stride;
  uint32_t type;
} ponder_device_rows;

/* A weight matrix y = x W^T, [n_out, n_in], or n_stacked of them (experts, heads), stack_bytes apart. Rows are row_bytes apart.
 * f8_e4m3: W[i, j] = f32(data[i, j]) * scale_inv[i / 128 * n_scale_cols + j / 128], matrices stack_scales floats apart. */
typedef struct ponder_device_matrix {
  const void* data;
  const float* scale_inv;
  uint64_t n_out, n_in, row_bytes;
  uint64_t n_stacked, stack_bytes, stack_scales;
  uint32_t type;
  uint32_t n_scale_cols;
} ponder_device_matrix;

/* Where the rows of a pass stand, and the blocks of their caches. Everything but `sequences` lies on the device. */
typedef struct ponder_device_sequence { /* host memory */
  uint64_t first_row, n_rows, first_position;
} ponder_device_sequence;

typedef struct ponder_device_cache {
  void* const* blocks;          /* of all sequences, one after another */
  const int32_t* first_block;   /* [n_sequences] */
  const int32_t* row_sequence;  /* [n_rows] */
  const int32_t* positions;     /* [n_rows] */
  const float *cos, *sin;       /* [n_rows, rope dims / 2] */
  uint64_t layer_bytes;         /* from a block's start to this layer's rows */
  uint64_t row_elements;
  uint32_t type;                /* f32, f16 or bf16 */
  uint32_t block_tokens;
  uint64_t n_rows, n_sequences;
  const ponder_device_sequence* sequences;
} ponder_device_cache;

typedef struct ponder_device_heads {
  uint32_t n_heads, n_kv_heads;
  uint32_t nope, rope, rank, v; /* MLA: qk_nope_head_dim, qk_rope_head_dim, kv_lora_rank, v_head_dim; GQA: rope is head_dim */
  uint32_t interleaved;         /* GQA: rotate pairs (2i, 2i + 1), not (i, i + head_dim / 2) */
  float scale;                  /* of q . k */
} ponder_device_heads;

/* route(): which experts each row goes to, and the slots (row * top_k + choice) sorted by expert. */
typedef struct ponder_device_router {
  uint32_t n_experts, top_k, n_group, topk_group;
  uint32_t sigmoid;      /* scores, else softmax */
  uint32_t noaux;        /* bias for selection; groups by their two largest */
  uint32_t grouped;      /* group-limited */
  uint32_t normalise;    /* weights are divided by their sum */
  float factor;          /* of the weights, at last */
} ponder_device_router;

typedef struct ponder_device_slots { /* device memory */
  int32_t* ids;     /* [n_rows, top_k], ascending */
  float* weights;   /* [n_rows, top_k] */
  int32_t* first;   /* [n_experts + 1]: slots of expert e are order[first[e]] to order[first[e + 1] - 1] */
  int32_t* order;   /* [n_rows * top_k] */
  int32_t* at;      /* its inverse */
  uint32_t n_experts, top_k;
} ponder_device_slots;

typedef struct ponder_device_table {
  uint32_t struct_size, abi;
  const char* name; /* "cuda" */

  /* ---- Devices; any thread. `error` may not be NULL: written when the result is not 0. ---- */
  int (*count)(int* n, ponder_device_error* error); /* no driver: unsupported, and what is missing */
  int (*open)(int index, ponder_device** device, ponder_device_error* error);
  void (*close)(ponder_device* device);
  int (*info)(ponder_device* device, ponder_device_info* info, ponder_device_error* error);
  int (*allocate)(ponder_device* device, size_t n_bytes, void** memory, ponder_device_error* error); /* 256-byte aligned */
  void (*release)(ponder_device* device, void* memory);
  int (*allocate_host)(ponder_device* device, size_t n_bytes, void** memory, ponder_device_error* error); /* quick to copy */
  void (*release_host)(ponder_device* device, void* memory);
  /* Blocking, ordered after no queue. */
  int (*upload)(ponder_device* device, void* to, const void* from, size_t n_bytes, ponder_device_error* error);
  int (*download)(ponder_device* device, void* to, const void* from, size_t n_bytes, ponder_device_error* error);
  int (*copy)(ponder_device* device, void* to, const void* from, size_t n_bytes, ponder_device_error* error);

  /* ---- Queues ---- */
  int (*queue_create)(ponder_device* device, ponder_queue** queue, ponder_device_error* error);
  void (*queue_destroy)(ponder_queue* queue);
  int (*queue_wait)(ponder_queue* queue, ponder_device_error* error);
  void (*queue_upload)(ponder_queue* queue, void* to, const void* from, size_t n_bytes);   /* host memory of allocate_host */
  void (*queue_download)(ponder_queue* queue, void* to, const void* from, size_t n_bytes);
  /* Records what follows as a graph instead of running it: 0 when it began. end() gives a graph, or NULL. Graphs hold addresses
   * of the queue's own working memory: one is stale when generation() is no longer what it was when it was recorded. */
  int (*graph_begin)(ponder_queue* queue);
  void* (*graph_end)(ponder_queue* queue);
  void (*graph_launch)(ponder_queue* queue, void* graph);
  void (*graph_destroy)(ponder_queue* queue, void* graph);
  uint64_t (*generation)(ponder_queue* queue);

  /* ---- Operations. Shapes are the caller's care. Rows of `n`. ---- */
  int (*supports)(ponder_device* device, uint32_t weight_type); /* 1: matrices of this type */

  /* y[t] = row ids[t] of w, f32 */
  void (*embed)(ponder_queue* queue, ponder_device_rows y, const ponder_device_matrix* w, const int32_t* ids, uint64_t n);
  /* y = x / sqrt(mean(x^2) + eps) * weight; y32 (data may be NULL) gets the same as f32. x f32. */
  void (*rms_norm)(ponder_queue* queue, ponder_device_rows y, ponder_device_rows y32, ponder_device_rows x, const float* weight,
                   uint64_t n, uint64_t width, float eps);
  /* y (+)= x W^T (+ bias). f32 x: f32 arithmetic, and without the flag quick the bits of a row depend on it and w alone. bf16 x:
   * whatever is quickest. Accumulated y is f32. */
  void (*matmul)(ponder_queue* queue, ponder_device_rows y, ponder_device_rows x, const ponder_device_matrix* w,
                 const float* bias, uint64_t n, uint32_t flags);
  /* y = silu(x G^T) * (x U^T) */
  void (*matmul_gated)(ponder_queue* queue, ponder_device_rows y, ponder_device_rows x, const ponder_device_matrix* gate,
                       const ponder_device_matrix* up, uint64_t n);
  /* y[t, h] = x[t, h] W_h^T for heads h; transposed: x[t, h] W_h. W_h [n_out, n_in] is matrix h of w. Heads of x and y lie
   * *_head elements apart. The type of w is f32, f16 or bf16. */
  void (*matmul_heads)(ponder_queue* queue, ponder_device_rows y, uint64_t y_head, ponder_device_rows x, uint64_t x_head,
                       const ponder_device_matrix* w, uint32_t transposed, uint64_t n);
  /* cos, sin [n, half] of positions[t] * frequencies[i], times factor; in f64 */
  void (*angles)(ponder_queue* queue, float* cos, float* sin, const int32_t* positions, const double* frequencies, double factor,
                 uint64_t n, uint32_t half);
  /* y[i] = x[ids[i]]; and y = x, in another type perhaps */
  void (*gather)(ponder_queue* queue, ponder_device_rows y, ponder_device_rows x, const int32_t* ids, uint64_t n, uint64_t width);
  void (*convert)(ponder_queue* queue, ponder_device_rows y, ponder_device_rows x, uint64_t n, uint64_t width);
  /* y += x, f32 */
  void (*add)(ponder_queue* queue, ponder_device_rows y, ponder_device_rows x, uint64_t n, uint64_t width);

  /* q [n, n_heads * (nope + rope)]: the last `rope` of each head are rotated in place. kv [n, rank + rope]: the first `rank` are
   * normalised by kv_norm (eps 1e-6), the others rotated, and the row goes to the cache. */
  void (*mla_store)(ponder_queue* queue, const ponder_device_cache* cache, const ponder_device_heads* heads, ponder_device_rows q,
                    ponder_device_rows kv, const float* kv_norm);
  /* q [n, n_heads * head_dim] is rotated in place, kv [n, K | V] goes to the cache with its keys rotated. */
  void (*gqa_store)(ponder_queue* queue, const ponder_device_cache* cache, const ponder_device_heads* heads, ponder_device_rows q,
                    ponder_device_rows kv);
  /* Absorbed: out [n, n_heads * v]; q as mla_store left it. kv_b: n_heads stacked [nope + v, rank]. */
  void (*mla_attend)(ponder_queue* queue, const ponder_device_cache* cache, const ponder_device_heads* heads,
                     ponder_device_rows out, ponder_device_rows q, const ponder_device_matrix* kv_b);
  void (*gqa_attend)(ponder_queue* queue, const ponder_device_cache* cache, const ponder_device_heads* heads,
                     ponder_device_rows out, ponder_device_rows q);

  /* scores f32 [n, n_experts] are overwritten; bias may be NULL. */
  void (*route)(ponder_queue* queue, const ponder_device_router* router, ponder_device_rows scores, const float* bias,
                const ponder_device_slots* slots, uint64_t n);
  /* out[t] += sum over its experts of weight * down(silu(gate(x[t])) * up(x[t])), in ascending order of experts. `shared` may be NULL: gate,
   * up and down of experts that every row goes to, with weight 1. */
  void (*experts)(ponder_queue* queue, ponder_device_rows out, ponder_device_rows x, const ponder_device_matrix* gate,
                  const ponder_device_matrix* up, const ponder_device_matrix* down, const ponder_device_matrix* const* shared,
                  const ponder_device_slots* slots, uint64_t n);
  /* Rows sorted by expert, n_slots of them: y[i] = x[order[i] / top_k] W_e^T, e the expert of slot order[i]; with sorted, x[i]. */
  void (*matmul_grouped)(ponder_queue* queue, ponder_device_rows y, ponder_device_rows x, const ponder_device_matrix* w,
                         const ponder_device_slots* slots, uint64_t n_slots, uint32_t sorted);
} ponder_device_table;

/* The table, or NULL for an unknown abi. */
typedef const ponder_device_table* ponder_backend_entry_fn(uint32_t abi);
