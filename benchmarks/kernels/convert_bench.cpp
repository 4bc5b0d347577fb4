#include "kernels/convert/convert.h"

#include "benchmarks/kernels/kernel_bench.h"

namespace ponder::bench {

namespace {

void register_to_f32(const std::string& type, kernels::ImplList<kernels::ToF32Fn> list, const Shape& shape) {
  const std::size_t width = shape.sizes[0];
  register_impls(type + "_to_f32", list, shape.name, [=](benchmark::State& state, kernels::ToF32Fn* fn) {
    std::vector<float> y(width);
    for (auto _ : state) {
      fn(y.data(), weights_memory().data, width);
      benchmark::DoNotOptimize(y.data());
    }
    count_bytes(state, width * sizeof(float) + row_bytes_of(type, width));
  });
}

void register_from_f32(const std::string& type, kernels::ImplList<kernels::FromF32Fn> list, const Shape& shape) {
  const std::size_t width = shape.sizes[0];
  register_impls("f32_to_" + type, list, shape.name, [=](benchmark::State& state, kernels::FromF32Fn* fn) {
    const std::vector<float> x(width, 0.3f);
    std::vector<unsigned char> y(2 * width);
    for (auto _ : state) {
      fn(y.data(), x.data(), width);
      benchmark::DoNotOptimize(y.data());
    }
    count_bytes(state, width * (sizeof(float) + 2));
  });
}

}  // namespace

void register_benchmarks() {
  for (const Shape& shape : shapes("rows.txt")) {
    register_to_f32("bf16", kernels::bf16_to_f32_impls(), shape);
    register_to_f32("f16", kernels::f16_to_f32_impls(), shape);
    register_to_f32("fp8", kernels::fp8_to_f32_impls(), shape);
    register_from_f32("bf16", kernels::f32_to_bf16_impls(), shape);
    register_from_f32("f16", kernels::f32_to_f16_impls(), shape);
    const std::size_t width = shape.sizes[0];
    register_impls("scale_add", kernels::scale_add_impls(), shape.name, [=](benchmark::State& state, kernels::ScaleAddFn* fn) {
      const std::vector<float> x(width, 0.3f);
      std::vector<float> y(width);
      for (auto _ : state) {
        fn(y.data(), x.data(), 0.5f, width);
        benchmark::DoNotOptimize(y.data());
      }
      count_bytes(state, 3 * width * sizeof(float));
    });
  }
}

}  // namespace ponder::bench
