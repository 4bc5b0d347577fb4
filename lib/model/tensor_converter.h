// The bytes of GGUF tensors out of a loaded model: rows in another type and order, in bounded memory, on all threads. For
// files (quantize_model.h) and for models that are converted while they load (convert_model.h).
#pragma once

#include <string>
#include <vector>

#include "lib/base/buffer.h"
#include "lib/model/gguf_tensors.h"
#include "lib/model/importance.h"
#include "lib/ops/context.h"

namespace ponder::core {

class TensorConverter {
 public:
  // Takes a tensor's bytes, front to back.
  class Target {
   public:
    virtual ~Target() = default;
    virtual Result<std::byte*> room(std::size_t n_bytes) = 0;  // for the next bytes
    virtual Status filled(std::size_t n_bytes) = 0;            // the room of last time; at least once per 16 MiB of f32
  };

  // importance may be null. All must outlive the converter.
  TensorConverter(const Context& ctx, const Model& model, const Importance* importance)
      : ctx_(ctx), model_(model), importance_(importance) {}

  // The same bytes for any number of threads. Of the model's mapped files only what is being read is in memory.
  Status convert(const GgufTensorSource& tensor, Target& target);

 private:
  Status find_importance(const GgufTensorSource& tensor, const float*& importance, std::size_t& per_weight) const;
  Status convert_weight(const GgufTensorSource& tensor, std::size_t index, const float* importance, Target& target);
  Status read(const GgufTensorSource& tensor, const Weight& w, std::size_t first, const Tensor& rows);
  Status read_keys(const Weight& w, std::size_t first, const Tensor& rows);

  const Context& ctx_;
  const Model& model_;
  const Importance* importance_;
  Buffer floats_, turned_;
};

// Grows to n_bytes of scratch; what was in it is gone.
Status reserve(Buffer& buffer, std::size_t n_bytes, const std::shared_ptr<Memory>& memory);

// For the user: types that did not fit, weights that were quantised before.
std::vector<std::string> conversion_warnings(const std::vector<GgufTensorSource>& tensors);

}  // namespace ponder::core
