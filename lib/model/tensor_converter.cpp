#include "lib/model/tensor_converter.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "lib/base/format.h"
#include "lib/ops/ops.h"
#include "lib/ops/weight_rows.h"

namespace ponder::core {
namespace {

using Rows = GgufTensorSource::Rows;

constexpr std::size_t kPieceWeights = std::size_t{4} << 20;  // 16 MiB as f32: enough rows for many threads

// "blk.*.ffn_down.weight"
std::string any_layer(const std::string& name) {
  const std::size_t begin = name.find('.') + 1, end = name.find('.', begin);
  return name.starts_with("blk.") && end != name.npos ? name.substr(0, begin) + "*" + name.substr(end) : name;
}

}  // namespace

Status TensorConverter::convert(const GgufTensorSource& tensor, Target& target) {
  if (tensor.weights.empty()) {
    const auto bytes = std::as_bytes(std::span(tensor.vector));
    PONDER_ASSIGN(std::byte* const to, target.room(bytes.size()));
    std::ranges::copy(bytes, to);
    return target.filled(bytes.size());
  }
  const float* importance = nullptr;
  std::size_t per_weight = 0;  // 0: all share one
  PONDER_TRY(find_importance(tensor, importance, per_weight));
  for (std::size_t i = 0; i < tensor.weights.size(); ++i) {
    PONDER_TRY(convert_weight(tensor, i, importance ? importance + i * per_weight : nullptr, target));
    model_.weights().let_go(*tensor.weights[i]);
  }
  return {};
}

Status TensorConverter::find_importance(const GgufTensorSource& tensor, const float*& importance,
                                        std::size_t& per_weight) const {
  if (!importance_) return {};
  const auto found = importance_->find(tensor.out.name);
  if (found == importance_->end()) return {};
  const std::size_t n = found->second.size(), cols = tensor.n_cols();
  if (n != cols && n != cols * tensor.weights.size())
    return fail(Code::invalid_argument, "{}: {} importances, want {} for its columns", tensor.out.name, n, cols);
  importance = found->second.data();
  per_weight = n == cols ? 0 : cols;
  return {};
}

Status TensorConverter::convert_weight(const GgufTensorSource& tensor, std::size_t index, const float* importance,
                                       Target& target) {
  const Config& config = model_.config();
  const Weight& w = *tensor.weights[index];
  const std::size_t cols = tensor.n_cols(), row = row_bytes(tensor.out.type, cols);
  // Keys are turned head by head.
  const std::size_t unit = tensor.rows == Rows::keys ? static_cast<std::size_t>(config.kv_lora_rank) : 1;
  const std::size_t per_piece = std::max<std::size_t>(kPieceWeights / (cols * unit), 1) * unit;
  const bool as_it_is = tensor.out.type == w.type && tensor.rows != Rows::keys;
  for (std::size_t first = 0, n = tensor.n_rows(); first < n; first += per_piece) {
    const std::size_t count = std::min(per_piece, n - first);
    PONDER_ASSIGN(std::byte* const to, target.room(count * row));
    if (as_it_is) {
      for (std::size_t i = 0; i < count; ++i)
        std::memcpy(to + i * row, w.data + tensor.source_row(config, first + i) * row, row);
    } else {
      PONDER_TRY(reserve(floats_, count * cols * sizeof(float), ctx_.memory));
      const Tensor rows(floats_.as<float>(), count, cols);
      PONDER_TRY(read(tensor, w, first, rows));
      PONDER_TRY(ops::quantize(ctx_, tensor.out.name, tensor.out.type, to, rows, importance, index * n + first));
    }
    PONDER_TRY(target.filled(count * row));
    if (tensor.rows == Rows::all) model_.weights().let_go(w.rows(first, count));
  }
  return {};
}

// Rows [first, first + rows.n_rows) of the tensor as f32.
Status TensorConverter::read(const GgufTensorSource& tensor, const Weight& w, std::size_t first, const Tensor& rows) {
  if (tensor.rows == Rows::keys) return read_keys(w, first, rows);
  ops::for_rows(ctx_, rows.n_rows, rows.n_cols, [&](std::size_t begin, std::size_t count) {
    for (std::size_t i = begin; i < begin + count; ++i) {
      const auto id = static_cast<std::int32_t>(tensor.source_row(model_.config(), first + i));
      ops::embed(ctx_, rows.rows(i, 1), w, {&id, 1});
    }
  });
  return {};
}

Status TensorConverter::read_keys(const Weight& w, std::size_t first, const Tensor& rows) {
  const Config& config = model_.config();
  const auto rank = static_cast<std::size_t>(config.kv_lora_rank), keys = rows.n_cols;
  const std::size_t of_head = keys + static_cast<std::size_t>(config.v_head_dim);
  PONDER_TRY(reserve(turned_, keys * rank * sizeof(float), ctx_.memory));
  const Tensor head(turned_.as<float>(), keys, rank);
  for (std::size_t at = 0; at < rows.n_rows; at += rank) {
    ops::dequantize(ctx_, head, w, (first + at) / rank * of_head);
    ops::for_rows(ctx_, rank, keys, [&](std::size_t begin, std::size_t count) {
      for (std::size_t r = begin; r < begin + count; ++r)
        for (std::size_t k = 0; k < keys; ++k) rows.row(at + r)[k] = head.row(k)[r];
    });
  }
  return {};
}

Status reserve(Buffer& buffer, std::size_t n_bytes, const std::shared_ptr<Memory>& memory) {
  if (buffer.size_bytes() >= n_bytes) return {};
  buffer = Buffer();
  PONDER_ASSIGN(buffer, Buffer::allocate(n_bytes, memory, MemoryUse::scratch));
  return {};
}

std::vector<std::string> conversion_warnings(const std::vector<GgufTensorSource>& tensors) {
  std::map<std::string, std::size_t> fallbacks, again;
  for (const GgufTensorSource& tensor : tensors) {
    if (tensor.fallback)
      ++fallbacks[formatted("{}: rows of {} are no whole blocks, written as {}", any_layer(tensor.out.name),
                              tensor.n_cols(), dtype_name(tensor.out.type))];
    for (const Weight* w : tensor.weights)
      if (block_elements(w->type) > 1 && w->type != tensor.out.type && tensor.out.type != DType::f32) {  // f32 holds any
        ++again[std::string(dtype_name(w->type))];
        break;
      }
  }
  std::vector<std::string> warnings;
  for (const auto& [text, n] : fallbacks) warnings.push_back(formatted("{} ({} in all)", text, n));
  for (const auto& [type, n] : again)
    warnings.push_back(formatted("{} tensors were quantised already, in {}, and lose once more", n, type));
  return warnings;
}

}  // namespace ponder::core
