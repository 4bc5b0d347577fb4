#include "lib/ops/kernel_checker.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>

namespace ponder::core::ops {

using namespace kernels;

namespace {

// The larger one; a NaN stays.
void note(double& largest, double error) {
  if (!(error <= largest)) largest = std::isnan(largest) ? largest : error;
}

double relative(double got, double want, double to) {
  const double off = std::abs(got - want);
  return off == 0 ? 0 : off / to;
}

// Values that differ; NaN equals NaN.
double n_different(const float* a, const float* b, std::size_t n) {
  double count = 0;
  for (std::size_t i = 0; i < n; ++i)
    count += std::bit_cast<std::uint32_t>(a[i]) != std::bit_cast<std::uint32_t>(b[i]) && !(std::isnan(a[i]) && std::isnan(b[i]));
  return count;
}
double n_different_bytes(const void* a, const void* b, std::size_t n) {
  double count = 0;
  for (std::size_t i = 0; i < n; ++i) count += static_cast<const char*>(a)[i] != static_cast<const char*>(b)[i];
  return count;
}

std::vector<float> uniform(std::size_t n, std::uint64_t seed, float most = 1) {
  Random random(seed);
  std::vector<float> values(n);
  for (float& v : values) v = random.uniform(-most, most);
  return values;
}

template <class Fn>
Fn* last(ImplList<Fn> list) {
  return list.first[list.count - 1].fn;
}

}  // namespace

// error_of(fn) for every implementation that may run.
template <class Fn, class Body>
void KernelChecker::each(const std::string& name, ImplList<Fn> list, double bound, Body&& error_of) {
  for (const Impl<Fn>& impl : list) {
    if (!isa_supported(impl.isa) || !(impl.isa == Isa::neon || impl.isa <= cap_)) continue;
    checks_.push_back({name, impl.isa, error_of(impl.fn), bound});
  }
}

// Random weights of a type at an odd address, rows apart, and what they stand for.
struct KernelChecker::Matrix {
  std::size_t n_rows, n_cols, stride;
  std::vector<unsigned char> bytes;
  std::vector<float> scales, decoded;  // decoded [n_rows, n_cols]

  Matrix(std::size_t rows, std::size_t cols, std::size_t row_bytes)
      : n_rows(rows), n_cols(cols), stride(row_bytes + 3), bytes(rows * stride + 1), decoded(rows * cols) {}
  unsigned char* row(std::size_t n) { return bytes.data() + 1 + n * stride; }
  WeightMatrix view() const {
    return {bytes.data() + 1, stride, scales.empty() ? nullptr : scales.data(), (n_cols + 127) / 128, 0};
  }

  static Matrix of(DType type, std::size_t rows, std::size_t cols) {
    Matrix m(rows, cols, row_bytes(type, cols));
    Random random(static_cast<std::uint64_t>(type) + 1);
    if (type == DType::f8_e4m3) {
      m.scales.resize((rows + 127) / 128 * ((cols + 127) / 128));
      for (float& scale : m.scales) scale = random.uniform(0.5f, 2) * 0x1p-6f;
    }
    for (std::size_t n = 0; n < rows; ++n)
      for (std::size_t k = 0; k < cols; ++k) {
        const float value = random.uniform(-1, 1);
        float& decoded = m.decoded[n * cols + k];
        const auto put = [&](auto code) { std::memcpy(m.row(n) + k * sizeof code, &code, sizeof code); };
        switch (type) {
          case DType::f16: put(f32_to_f16(value)), decoded = f16_to_f32(f32_to_f16(value)); break;
          case DType::bf16: put(f32_to_bf16(value)), decoded = bf16_to_f32(f32_to_bf16(value)); break;
          case DType::f8_e4m3:
            put(f32_to_f8_e4m3(value));
            decoded = f8_e4m3_to_f32(f32_to_f8_e4m3(value)) * m.scales[n / 128 * ((cols + 127) / 128) + k / 128];
            break;
          default: put(value), decoded = value;
        }
      }
    return m;
  }
  static Matrix of(const BlockType& type, std::size_t rows, std::size_t cols) {
    Matrix m(rows, cols, row_bytes(type.type, cols));
    Random random(static_cast<std::uint64_t>(type.type) + 1);
    for (std::size_t n = 0; n < rows; ++n) {
      for (std::size_t at = 0; at < row_bytes(type.type, cols); at += block_bytes(type.type))
        fill_block(m.row(n) + at, type, random);
      last(type.to_f32)(m.decoded.data() + n * cols, m.row(n), cols);
    }
    return m;
  }
};

// Token counts on all sides of where kernels change their way of working.
void KernelChecker::matmul(const std::string& name, ImplList<MatmulFn> list, const Matrix& w, double bound) {
  const WeightMatrix view = w.view();
  each(name, list, bound, [&](MatmulFn* fn) {
    double error = 0;
    for (const std::size_t n_tokens : {1, 3, 8, 35}) {
      const std::vector<float> x = uniform(n_tokens * w.n_cols, n_tokens);
      std::vector<float> y(n_tokens * w.n_rows, std::numeric_limits<float>::quiet_NaN());
      fn(y.data(), w.n_rows, x.data(), w.n_cols, &view, n_tokens, 0, w.n_rows, w.n_cols);
      for (std::size_t t = 0; t < n_tokens; ++t)
        for (std::size_t n = 0; n < w.n_rows; ++n) {
          double sum = 0, magnitude = 0;
          for (std::size_t k = 0; k < w.n_cols; ++k) {
            const double product = double{x[t * w.n_cols + k]} * w.decoded[n * w.n_cols + k];
            sum += product, magnitude += std::abs(product);
          }
          note(error, relative(y[t * w.n_rows + n], sum, magnitude));
        }
    }
    return error;
  });
}

void KernelChecker::vecmat(const std::string& name, ImplList<VecmatFn> list, const Matrix& w) {
  const WeightMatrix view = w.view();
  each(name, list, 1e-5, [&](VecmatFn* fn) {
    double error = 0;
    for (const std::size_t n_tokens : {1, 5}) {
      const std::vector<float> x = uniform(n_tokens * w.n_rows, n_tokens);
      std::vector<float> y(n_tokens * w.n_cols, std::numeric_limits<float>::quiet_NaN());
      fn(y.data(), w.n_cols, x.data(), w.n_rows, &view, n_tokens, w.n_rows, 0, w.n_cols, 0);
      for (std::size_t t = 0; t < n_tokens; ++t)
        for (std::size_t k = 0; k < w.n_cols; ++k) {
          double sum = 0, magnitude = 0;
          for (std::size_t n = 0; n < w.n_rows; ++n) {
            const double product = double{x[t * w.n_rows + n]} * w.decoded[n * w.n_cols + k];
            sum += product, magnitude += std::abs(product);
          }
          note(error, relative(y[t * w.n_cols + k], sum, magnitude));
        }
    }
    return error;
  });
}

void KernelChecker::matmul(const char* name, ImplList<MatmulFn> list, DType type, double bound, double bound_per_column) {
  constexpr std::size_t kCols = 300;
  matmul(std::string(name), list, Matrix::of(type, 19, kCols), bound + bound_per_column * kCols);
}
void KernelChecker::vecmat(const char* name, ImplList<VecmatFn> list, DType type) {
  vecmat(std::string(name), list, Matrix::of(type, 19, 300));
}

void KernelChecker::block_type(const BlockType& type) {
  std::string name(dtype_name(type.type));
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  const Matrix w = Matrix::of(type, 19, 512);
  each(name + "_to_f32", type.to_f32, 0, [&](ToF32Fn* fn) {
    std::vector<float> got(w.n_cols);
    double wrong = 0;
    for (std::size_t n = 0; n < w.n_rows; ++n) {
      fn(got.data(), w.bytes.data() + 1 + n * w.stride, w.n_cols);
      wrong += n_different(got.data(), w.decoded.data() + n * w.n_cols, w.n_cols);
    }
    return wrong;
  });
  matmul("matmul_" + name, type.matmul, w, 1e-5);
  vecmat("vecmat_" + name, type.vecmat, w);
  int8(type, w, name);
}

void KernelChecker::int8(const BlockType& type, const Matrix& w, const std::string& name) {
  const WeightMatrix view = w.view();
  const std::size_t n_units = int8_units(w.n_cols);
  each(name + "_int8_dot", type.int8, 3e-5, [&](const Int8Kernels* int8) {
    double error = 0;
    for (const std::size_t n_tokens : {1, 3, 8}) {
      const std::vector<float> x = uniform(n_tokens * w.n_cols, n_tokens);
      std::vector<Int8Unit> units(n_tokens * n_units);
      for (std::size_t t = 0; t < n_tokens; ++t)
        row_to_int8_ref(units.data() + t * n_units, 1, x.data() + t * w.n_cols, w.n_cols);
      std::vector<float> y(n_tokens * w.n_rows, std::numeric_limits<float>::quiet_NaN());
      int8->dot(y.data(), w.n_rows, units.data(), n_units, &view, n_tokens, 0, w.n_rows, w.n_cols);
      for (std::size_t t = 0; t < n_tokens; ++t)
        for (std::size_t n = 0; n < w.n_rows; ++n) {
          double sum = 0, magnitude = 0;
          for (std::size_t k = 0; k < w.n_cols; ++k) {  // whole units: w.n_cols is a multiple of 256
            const Int8Unit& unit = units[t * n_units + k / 256];
            const double product = double{unit.scale[k % 256 / 16]} * unit.q[k % 256] * double{w.decoded[n * w.n_cols + k]};
            sum += product, magnitude += std::abs(product);
          }
          note(error, relative(y[t * w.n_rows + n], sum, magnitude));
        }
    }
    return error;
  });
  for (const Impl<const Int8Kernels>& impl : type.int8) {
    const ImplList<const Int8Kernels> one{&impl, 1};
    // In steps of the panel's scale; or relative to the largest term of the weight where panels hold weights as they are.
    const bool rounded = impl.isa == Isa::avx512vnni && !panel_is_exact(type.type);
    each(name + "_int8_fill", one, rounded ? 0.8 : 1e-6, [&](const Int8Kernels* int8) {
      double error = 0;
      Int8Panel panel;
      for (std::size_t k = 0; k < w.n_cols; k += 256) {
        int8->fill(&panel, &view, 0, w.n_rows, k);
        for (std::size_t r = 0; r < w.n_rows; ++r)
          for (std::size_t i = 0; i < 256; ++i) {
            const std::size_t g = i / static_cast<std::size_t>(panel.group);
            const double scale = panel.scale[g][r], want = w.decoded[r * w.n_cols + k + i];
            const double terms = std::abs(scale * panel_code(panel, r, i)) +
                                 (panel.bits < 8 ? std::abs(double{panel.minimum[g][r]}) : 0);
            note(error, relative(panel_weight(panel, r, i), want, rounded ? std::abs(scale) : terms));
          }
      }
      return error;
    });
    // Beside the reference with the same panels.
    MatmulInt8Fn* const multiply = pick(matmul_int8_impls(), impl.isa);
    const Impl<MatmulInt8Fn> of_isa{impl.isa, multiply};
    each("matmul_int8_" + name, ImplList<MatmulInt8Fn>{&of_isa, 1}, 3e-5, [&](MatmulInt8Fn* fn) {
      constexpr std::size_t kTokens = 17;
      const std::vector<float> x = uniform(kTokens * w.n_cols, 1);
      std::vector<Int8Unit> units(kTokens * n_units);
      for (std::size_t t = 0; t < kTokens; ++t) row_to_int8_ref(units.data() + t, kTokens, x.data() + t * w.n_cols, w.n_cols);
      std::vector<float> got(kTokens * w.n_rows, std::numeric_limits<float>::quiet_NaN()), want(got);
      fn(got.data(), w.n_rows, units.data(), kTokens, &view, impl.fn->fill, kTokens, 0, w.n_rows, w.n_cols);
      matmul_int8_ref(want.data(), w.n_rows, units.data(), kTokens, &view, impl.fn->fill, kTokens, 0, w.n_rows, w.n_cols);
      double error = 0;
      for (std::size_t i = 0; i < got.size(); ++i) {
        double magnitude = 0;
        for (std::size_t k = 0; k < w.n_cols; ++k)
          magnitude += std::abs(double{x[i / w.n_rows * w.n_cols + k]} * w.decoded[i % w.n_rows * w.n_cols + k]);
        note(error, relative(got[i], want[i], magnitude));
      }
      return error;
    });
  }
}

void KernelChecker::row_to_int8() {
  constexpr std::size_t kN = 736;
  const std::vector<float> x = uniform(kN, 1);
  std::vector<Int8Unit> want(int8_units(kN));
  row_to_int8_ref(want.data(), 1, x.data(), kN);
  each("row_to_int8", row_to_int8_impls(), 0, [&](RowToInt8Fn* fn) {
    std::vector<Int8Unit> got(want.size());
    fn(got.data(), 1, x.data(), kN);
    return n_different_bytes(got.data(), want.data(), want.size() * sizeof(Int8Unit));
  });
}

void KernelChecker::to_f32(const char* name, ImplList<ToF32Fn> list, std::size_t n_bytes) {
  const std::size_t n = (std::size_t{1} << (8 * n_bytes)) - 1;  // all codes but the last: a tail
  std::vector<unsigned char> codes(n * n_bytes + 1);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t b = 0; b < n_bytes; ++b) codes[1 + i * n_bytes + b] = static_cast<unsigned char>(i >> (8 * b));
  std::vector<float> want(n), got(n);
  last(list)(want.data(), codes.data() + 1, n);
  each(name, list, 0, [&](ToF32Fn* fn) {
    std::fill(got.begin(), got.end(), 0.0f);
    fn(got.data(), codes.data() + 1, n);
    return n_different(got.data(), want.data(), n);
  });
}

void KernelChecker::from_f32(const char* name, ImplList<FromF32Fn> list) {
  std::vector<float> x(4099);  // any bits
  Random random(3);
  for (float& v : x) {
    v = std::bit_cast<float>(random.bits());
    if (std::isnan(v)) v = random.uniform(-1, 1);
  }
  std::vector<std::uint16_t> want(x.size()), got(x.size());
  last(list)(want.data(), x.data(), x.size());
  each(name, list, 0, [&](FromF32Fn* fn) {
    std::fill(got.begin(), got.end(), std::uint16_t{0});
    fn(got.data(), x.data(), x.size());
    return n_different_bytes(got.data(), want.data(), 2 * x.size());
  });
}

void KernelChecker::attend(const char* name, ImplList<AttendFn> list, AttendFn* ref, DType type, bool dots) {
  const bool f32 = type == DType::f32;
  constexpr std::size_t kRows = 9, kKeys = 64, kKeyDims = 72, kValueDims = 40;
  const auto stored = [&](std::size_t n, std::uint64_t seed, float most, bool as_f32) {
    const std::vector<float> values = uniform(n, seed, most);
    std::vector<unsigned char> bytes(n * (as_f32 ? 4 : 2));
    if (as_f32) std::memcpy(bytes.data(), values.data(), bytes.size());
    else (type == DType::f16 ? f32_to_f16_ref : f32_to_bf16_ref)(bytes.data(), values.data(), n);
    return bytes;
  };
  const auto queries = stored(kRows * kKeyDims, 1, 3, !dots), keys = stored(kKeys * kKeyDims, 2, 1, f32),
             values = stored(kKeys * kValueDims, 3, 1, f32);
  const auto result = [&](AttendFn* fn) {
    std::vector<float> out(kRows * kValueDims), most(kRows, -std::numeric_limits<float>::infinity()), sum(kRows);
    const std::size_t element = f32 ? 4 : 2;
    fn({queries.data(), keys.data(), values.data(), kKeyDims * (dots ? 2 : 4), kKeyDims * element, kValueDims * element, kRows,
        kKeys, kKeyDims, kValueDims, out.data(), kValueDims, most.data(), sum.data(), {nullptr, nullptr}, {0, 0}, 0, 0});
    for (std::size_t i = 0; i < out.size(); ++i) out[i] /= sum[i / kValueDims];
    return out;
  };
  const std::vector<float> want = result(ref);
  // Scores within 2e-6 of sum |q k|, here at most 3 per dim; a probability is off by twice that.
  const double bound = 2 * (2 * 2e-6 * 3 * kKeyDims + (dots ? 0x1p-8 : 0) + 1e-6);
  each(name, list, bound, [&](AttendFn* fn) {
    const std::vector<float> got = result(fn);
    double error = 0;
    for (std::size_t i = 0; i < want.size(); ++i) note(error, relative(got[i], want[i], 1));
    return error;
  });
}

void KernelChecker::rope(const char* name, ImplList<RopeFn> list) {
  constexpr std::size_t kHeads = 3, kDims = 70, kStride = 73;
  const std::vector<float> x = uniform(kHeads * kStride, 1), angles = uniform(kDims / 2, 2, 3);
  std::vector<float> cos(kDims / 2), sin(kDims / 2);
  for (std::size_t i = 0; i < cos.size(); ++i) cos[i] = std::cos(angles[i]), sin[i] = std::sin(angles[i]);
  std::vector<float> want = x;
  last(list)(want.data(), kStride, cos.data(), sin.data(), kHeads, kDims);
  each(name, list, 1e-6, [&](RopeFn* fn) {
    std::vector<float> got = x;
    fn(got.data(), kStride, cos.data(), sin.data(), kHeads, kDims);
    double error = 0;
    for (std::size_t i = 0; i < got.size(); ++i) note(error, relative(got[i], want[i], 2));  // |a| + |b| is at most 2
    return error;
  });
}

void KernelChecker::quantizers() {
  struct Named {
    const char* name;
    QuantizeFn* const Quantizers::*member;
    DType type;
  };
#define PONDER_QUANTIZER(name) {"quantize_" #name, &Quantizers::name, DType::name}
  const Named all[] = {PONDER_QUANTIZER(q4_0), PONDER_QUANTIZER(q4_1), PONDER_QUANTIZER(q5_0),   PONDER_QUANTIZER(q5_1),
                       PONDER_QUANTIZER(q8_0), PONDER_QUANTIZER(q2_k), PONDER_QUANTIZER(q3_k),   PONDER_QUANTIZER(q4_k),
                       PONDER_QUANTIZER(q5_k), PONDER_QUANTIZER(q6_k), PONDER_QUANTIZER(iq4_nl), PONDER_QUANTIZER(iq4_xs)};
#undef PONDER_QUANTIZER
  static_assert(std::size(all) * sizeof(QuantizeFn*) == sizeof(Quantizers), "a quantiser is missing");
  constexpr std::size_t kN = 512;
  const std::vector<float> x = uniform(kN, 1, 0.05f);
  std::vector<float> importance = uniform(kN, 2);
  for (float& v : importance) v *= v;
  for (const Named& q : all)
    each(q.name, quantize_impls(), 0, [&](const Quantizers* by) {
      double wrong = 0;
      for (const float* weights : {static_cast<const float*>(nullptr), static_cast<const float*>(importance.data())}) {
        std::vector<unsigned char> got(row_bytes(q.type, kN)), want(got.size());
        (by->*q.member)(got.data(), x.data(), kN, weights);
        (quantizers_ref.*q.member)(want.data(), x.data(), kN, weights);
        wrong += n_different_bytes(got.data(), want.data(), got.size());
      }
      return wrong;
    });
}

void KernelChecker::elementwise() {
  constexpr std::size_t kN = 211;
  const std::vector<float> x = uniform(kN, 1), start = uniform(kN, 2);
  const auto compare = [&](const std::vector<float>& got, const std::vector<float>& want, double smallest = 0) {
    double error = 0;
    for (std::size_t i = 0; i < got.size(); ++i) note(error, relative(got[i], want[i], std::abs(want[i]) + smallest));
    return error;
  };
  const auto exact = [&](const char* name, auto list, auto&& run) {
    std::vector<float> want = start;
    run(last(list), want);
    each(name, list, 0, [&](auto* fn) {
      std::vector<float> got = start;
      run(fn, got);
      return n_different(got.data(), want.data(), kN);
    });
  };
  exact("add", add_impls(), [&](AddFn* fn, std::vector<float>& y) { fn(y.data(), x.data(), kN); });
  exact("scale_add", scale_add_impls(), [&](ScaleAddFn* fn, std::vector<float>& y) { fn(y.data(), x.data(), 0.3f, kN); });

  const auto near = [&](const char* name, auto list, double bound, auto&& run) {
    const std::vector<float> want = run(last(list));
    each(name, list, bound, [&](auto* fn) { return compare(run(fn), want, 1e-40); });
  };
  near("rms_norm", rms_norm_impls(), 1e-5, [&](RmsNormFn* fn) {
    std::vector<float> y(kN / 2 * 2);
    fn(y.data(), kN / 2, x.data(), kN / 2, start.data(), 2, kN / 2, 1e-6f);
    return y;
  });
  near("swiglu", swiglu_impls(), 1e-6, [&](SwigluFn* fn) {
    std::vector<float> y(kN), gate = x;
    for (float& g : gate) g *= 20;
    fn(y.data(), gate.data(), start.data(), kN);
    return y;
  });
  near("softmax_row", softmax_row_impls(), 2e-6, [&](SoftmaxRowFn* fn) {
    std::vector<float> y = x;
    for (float& v : y) v *= 8;
    fn(y.data(), kN);
    return y;
  });
  near("softmax_block", softmax_block_impls(), 1e-6, [&](SoftmaxBlockFn* fn) {
    std::vector<float> y = x;
    float most = 0.5f, rescale = 0;
    const float sum = fn(y.data(), kN, 4, &most, &rescale);
    y.insert(y.end(), {most, rescale, sum});
    return y;
  });
}

void KernelChecker::all() {
  matmul("matmul_f32", matmul_f32_impls(), DType::f32, 1e-5);
  matmul("matmul_f16", matmul_f16_impls(), DType::f16, 1e-5);
  matmul("matmul_bf16", matmul_bf16_impls(), DType::bf16, 1e-5);
  matmul("matmul_fp8", matmul_fp8_impls(), DType::f8_e4m3, 1e-5);
  matmul("matmul_bf16_fast", matmul_bf16_fast_impls(), DType::bf16, 0x1p-8, 0x1p-23);
  matmul("matmul_fp8_fast", matmul_fp8_fast_impls(), DType::f8_e4m3, 0x1p-7 + 0x1p-15, 0x1p-23);
  vecmat("vecmat_f32", vecmat_f32_impls(), DType::f32);
  vecmat("vecmat_f16", vecmat_f16_impls(), DType::f16);
  vecmat("vecmat_bf16", vecmat_bf16_impls(), DType::bf16);
  vecmat("vecmat_fp8", vecmat_fp8_impls(), DType::f8_e4m3);
  for (const BlockType& type : block_types()) block_type(type);
  to_f32("bf16_to_f32", bf16_to_f32_impls(), 2);
  to_f32("f16_to_f32", f16_to_f32_impls(), 2);
  to_f32("fp8_to_f32", fp8_to_f32_impls(), 1);
  from_f32("f32_to_bf16", f32_to_bf16_impls());
  from_f32("f32_to_f16", f32_to_f16_impls());
  attend("attend_f32", attend_f32_impls(), attend_f32_ref, DType::f32);
  attend("attend_f16", attend_f16_impls(), attend_f16_ref, DType::f16);
  attend("attend_bf16", attend_bf16_impls(), attend_bf16_ref, DType::bf16);
  attend("attend_bf16_dots", attend_bf16_dots_impls(), attend_bf16_dots_ref, DType::bf16, true);
  rope("rope_interleaved", rope_interleaved_impls());
  rope("rope_half", rope_half_impls());
  row_to_int8();
  quantizers();
  elementwise();
}

}  // namespace ponder::core::ops
