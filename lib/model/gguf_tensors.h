// The tensors of a GGUF file of a loaded model: llama.cpp's names, shapes and row order, and where their rows come from.
#pragma once

#include <string>
#include <vector>

#include "lib/io/gguf_writer.h"
#include "lib/model/model.h"
#include "lib/model/quantize_mix.h"

namespace ponder::core {

// Weights [n_out, n_in] on top of each other (the experts of a layer; one, elsewhere), or a vector.
struct GgufTensorSource {
  // How a row of the tensor is found in the weight. all: where it stands. pairs: q and k of llama, whose rope turns rows
  // (2i, 2i + 1) of a head in GGUF and (i, i + head_dim / 2) elsewhere. values, keys: parts of kv_b_proj; the keys
  // transposed per head, [n_heads, kv_lora_rank, qk_nope_head_dim].
  enum class Rows { all, pairs, values, keys };

  GgufTensor out;
  bool fallback = false;  // the type is not the one that the mix wants
  std::vector<const Weight*> weights;
  Rows rows = Rows::all;
  std::vector<float> vector;  // where weights is empty

  std::size_t n_cols() const { return static_cast<std::size_t>(out.shape[out.shape.n_dims() - 1]); }
  // Of one weight, in the tensor.
  std::size_t n_rows() const {
    return static_cast<std::size_t>(out.shape.n_elements()) / n_cols() / (weights.empty() ? 1 : weights.size());
  }
  // The row of the weight that row i of the tensor is; not for keys.
  std::size_t source_row(const Config& config, std::size_t i) const;
};

// In the order of the file.
Result<std::vector<GgufTensorSource>> gguf_tensors(const Model& model, const Mix& mix, bool has_importance);

}  // namespace ponder::core
