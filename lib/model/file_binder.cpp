#include "lib/model/file_binder.h"

#include <algorithm>
#include <cstring>

#include "lib/base/format.h"

namespace ponder::core {
namespace {

constexpr std::size_t kMaxProblems = 4096;  // a wholly different checkpoint is not searched to its end

}  // namespace

bool FileBinder::go_on() { return status_.ok() && n_problems_ < kMaxProblems; }

bool FileBinder::report(float fraction) {
  if (!status_.ok()) return false;
  fraction = std::clamp(fraction, fraction_, 1.0f);
  fraction_ = fraction;
  if (options_.progress && !options_.progress(fraction)) status_ = Status(Code::cancelled, "the load was cancelled");
  return status_.ok();
}

Status FileBinder::status() const {
  PONDER_TRY(Status(status_));
  if (n_problems_ == 0) return {};
  std::string text;
  for (const std::string& line : problems_) text += (text.empty() ? "" : "; ") + line;
  if (n_problems_ > problems_.size())
    text += formatted("; and {}{} more", n_problems_ >= kMaxProblems ? "at least " : "",
                        n_problems_ - problems_.size());
  return fail(Code::bad_file, "{}{} tensors missing or not as {} wants them: {}",
              n_problems_ >= kMaxProblems ? "at least " : "", n_problems_, wanted_by_, text);
}

void FileBinder::problem(std::string text) {
  if (problems_.size() < kListedNames) problems_.push_back(std::move(text));
  ++n_problems_;
}

bool FileBinder::count(std::size_t n_bytes) {
  if (Status fits = charge_.add(n_bytes); !fits.ok() && status_.ok()) status_ = std::move(fits);
  return status_.ok();
}

void FileBinder::bound(DType type, std::size_t n_bytes, Component component, std::int64_t n_parameters) {
  if (!count(3 * (sizeof(BoundTensor) + sizeof(Weight)))) return;
  bound_.push_back({component, type, n_parameters, static_cast<std::int64_t>(n_bytes)});
  if (bound_.size() % 16 == 0)  // stacked experts are bound one by one: more than there are tensors
    report(0.05f + 0.8f * std::min(1.0f, static_cast<float>(bound_.size()) / static_cast<float>(n_tensors_)));
}

const float* FileBinder::bind_vector(const TensorInfo& info, std::int64_t n, Component component) {
  if (info.type != DType::f32 && info.type != DType::bf16 && info.type != DType::f16) {
    problem(formatted("{}: dtype {}, wanted F32, BF16 or F16", info.name, dtype_name(info.type)));
    return nullptr;
  }
  bound(info.type, info.bytes.size(), component, n);
  if (!with_data_) return nullptr;
  float* copy = allocate_floats(static_cast<std::size_t>(n));
  if (!copy) return nullptr;
  const std::byte* from = info.bytes.data();
  for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) {
    std::uint16_t half = 0;
    if (info.type == DType::f32) std::memcpy(copy + i, from + 4 * i, 4);
    else std::memcpy(&half, from + 2 * i, 2);
    if (info.type == DType::bf16) copy[i] = bf16_to_f32(half);
    if (info.type == DType::f16) copy[i] = f16_to_f32(half);
  }
  return copy;
}

float* FileBinder::allocate_floats(std::size_t n) {
  if (!count(n * sizeof(float) + 2 * sizeof(Buffer))) return nullptr;
  Result<Buffer> buffer = Buffer::allocate(n * sizeof(float));
  if (!buffer.ok()) {
    status_ = buffer.status();
    return nullptr;
  }
  weights_.owned.push_back(std::move(buffer).value());
  return weights_.owned.back().as<float>();
}

std::int64_t FileBinder::layer_of(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return -1;
  std::int64_t layer = -1;
  for (const char c : name.substr(prefix.size())) {
    if (c < '0' || c > '9' || layer > 100000) break;
    layer = std::max<std::int64_t>(layer, 0) * 10 + (c - '0');
  }
  return layer;
}

void FileBinder::warn_mtp_tensors(std::size_t n, std::int64_t first_layer, std::vector<std::string>& warnings) {
  if (n)
    warnings.push_back(
        formatted("{} tensors of layers from {} on (multi-token prediction) are not used", n, first_layer));
}

void FileBinder::warn_other(const std::vector<std::string>& other, std::vector<std::string>& warnings) {
  for (std::size_t i = 0; i < other.size() && i < kListedNames; ++i) warnings.push_back(other[i]);
  if (other.size() > kListedNames)
    warnings.push_back(formatted("and {} more tensors are not used", other.size() - kListedNames));
}

}  // namespace ponder::core
