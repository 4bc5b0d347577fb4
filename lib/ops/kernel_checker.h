// Every kernel that this CPU may run beside its scalar reference, on small random data: miscompiled code, a broken CPU or an
// emulator that computes otherwise show here. One thread, under a MiB, well under a second.
#pragma once

#include <string>
#include <vector>

#include "kernels/base/table.h"
#include "lib/base/dtype.h"
#include "lib/ops/kernel_samples.h"

namespace ponder::core::ops {

struct KernelCheck {
  std::string kernel;  // "matmul_q4_k", "q4_k_to_f32", "rope_half", ...
  kernels::Isa isa;
  double error;  // the largest, as the kernel's contract measures it: relative to what it names; of exact kernels the
                 // number of wrong values
  double bound;  // of the contract
  bool ok() const { return error <= bound; }  // a NaN is not
};

// One method per contract; each adds the kernels of a list that the CPU supports and `cap` allows.
class KernelChecker {
 public:
  explicit KernelChecker(kernels::Isa cap) : cap_(cap) {}

  void all();
  const std::vector<KernelCheck>& checks() const { return checks_; }

  // Matrices of a type that is no block type: f32, f16, bf16, f8_e4m3. Error relative to sum |x W|.
  void matmul(const char* name, kernels::ImplList<kernels::MatmulFn> list, DType type, double bound, double bound_per_column = 0);
  void vecmat(const char* name, kernels::ImplList<kernels::VecmatFn> list, DType type);
  void block_type(const BlockType& type);  // to_f32, matmul, vecmat, dots and panels
  void to_f32(const char* name, kernels::ImplList<kernels::ToF32Fn> list, std::size_t n_bytes);
  void from_f32(const char* name, kernels::ImplList<kernels::FromF32Fn> list);
  void attend(const char* name, kernels::ImplList<kernels::AttendFn> list, kernels::AttendFn* ref, DType stored,
              bool dots = false);
  void rope(const char* name, kernels::ImplList<kernels::RopeFn> list);
  void quantizers();
  void row_to_int8();
  void elementwise();  // add, scale_add, rms_norm, softmax_block, softmax_row, swiglu

 private:
  struct Matrix;
  void matmul(const std::string& name, kernels::ImplList<kernels::MatmulFn> list, const Matrix& w, double bound);
  void vecmat(const std::string& name, kernels::ImplList<kernels::VecmatFn> list, const Matrix& w);
  void int8(const BlockType& type, const Matrix& w, const std::string& name);
  template <class Fn, class Body>
  void each(const std::string& name, kernels::ImplList<Fn> list, double bound, Body&& error_of);

  kernels::Isa cap_;
  std::vector<KernelCheck> checks_;
};

}  // namespace ponder::core::ops
