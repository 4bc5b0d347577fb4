#include "lib/model/importance.h"

#include <cmath>
#include <cstring>

#include "lib/base/format.h"
#include "lib/io/gguf.h"

namespace ponder::core {
namespace {

constexpr std::string_view kSums = ".in_sum2", kCounts = ".counts";

float at(const TensorInfo& info, std::size_t i) {
  float value;
  std::memcpy(&value, info.bytes.data() + i * sizeof value, sizeof value);
  return value;
}

}  // namespace

Result<Importance> read_importance(FileView file) {
  const std::string what = file.name;
  PONDER_ASSIGN(const Gguf gguf, Gguf::parse(std::move(file)));
  Importance out;
  for (const TensorInfo& sums : gguf.tensors()) {
    if (!sums.name.ends_with(kSums)) continue;
    const std::string name = sums.name.substr(0, sums.name.size() - kSums.size());
    const TensorInfo* counts = gguf.find(name + std::string(kCounts));
    const std::size_t n_dims = sums.shape.n_dims();
    const std::int64_t cols = n_dims ? sums.shape[n_dims - 1] : 0, rows = cols ? sums.shape.n_elements() / cols : 0;
    if (!counts || sums.type != DType::f32 || counts->type != DType::f32 || counts->shape.n_elements() != rows)
      return fail(Code::bad_file, "{}: {}: wanted F32 of one row for each of {}{}", what, sums.name, name, kCounts);
    std::vector<float>& values = out[name];
    values.resize(static_cast<std::size_t>(rows * cols));
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float count = at(*counts, i / static_cast<std::size_t>(cols));
      values[i] = count > 0 ? at(sums, i) / count : 0;
      if (!(values[i] >= 0) || !std::isfinite(values[i]))
        return fail(Code::bad_file, "{}: {}: element {} is {} of {}, wanted a mean of squares", what, sums.name, i,
                    at(sums, i), count);
    }
  }
  if (out.empty()) return fail(Code::bad_file, "{}: no importance matrix: it has no tensor ...{}", what, kSums);
  return out;
}

}  // namespace ponder::core
