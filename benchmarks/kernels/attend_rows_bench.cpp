// Attention over 1024 keys in blocks of 64, as they lie in the KV cache; all heads that share its rows, as in a decode step.
#include "kernels/attend_rows/attend_rows.h"

#include "benchmarks/kernels/kernel_bench.h"

namespace ponder::bench {

namespace {

void register_type(const std::string& type, kernels::ImplList<kernels::AttendFn> list, std::size_t element_bytes, bool pairs) {
  for (const Shape& shape : shapes("attend_rows.txt")) {
    const std::size_t rows = shape.sizes[0], heads = shape.sizes[1], key_dims = shape.sizes[2], value_dims = shape.sizes[3];
    const std::size_t stride = shape.sizes[4] * element_bytes, value_offset = shape.sizes[5] * element_bytes;
    register_impls("attend_" + type, list, shape.name, [=](benchmark::State& state, kernels::AttendFn* fn) {
      constexpr std::size_t kKeys = 1024, kBlock = 64;
      const std::vector<float> queries(heads * rows * key_dims, 0.01f);
      std::vector<float> out(heads * rows * value_dims), running_max(heads * rows, 0.0f), sum(heads * rows);
      const Memory memory = weights_memory();
      std::size_t at = 0;
      for (auto _ : state) {
        for (std::size_t key = 0; key < kKeys; key += kBlock, at += kBlock * stride) {
          if (at + kBlock * stride > memory.size) at = 0;
          for (std::size_t head = 0; head < heads; ++head) {
            const unsigned char* keys = memory.data + at + head * key_dims * element_bytes;
            const unsigned char* values = memory.data + at + value_offset + head * value_dims * element_bytes;
            fn({queries.data() + head * rows * key_dims, keys, values, key_dims * (pairs ? 2 : 4), stride, stride, rows, kBlock,
                key_dims, value_dims, out.data() + head * rows * value_dims, value_dims, running_max.data() + head * rows,
                sum.data() + head * rows, {keys + kBlock * stride, value_offset ? values + kBlock * stride : nullptr},
                {key_dims * element_bytes, value_dims * element_bytes}, stride, kBlock});
          }
        }
        benchmark::DoNotOptimize(out.data());
      }
      count_flops(state, 2.0 * static_cast<double>(heads * rows * kKeys * (key_dims + value_dims)), pairs ? Peak::bf16 : Peak::f32);
      count_weights(state, kKeys * stride);
    }, false);
  }
}

}  // namespace

void register_benchmarks() {
  register_type("f32", kernels::attend_f32_impls(), 4, false);
  register_type("f16", kernels::attend_f16_impls(), 2, false);
  register_type("bf16", kernels::attend_bf16_impls(), 2, false);
  register_type("bf16_dots", kernels::attend_bf16_dots_impls(), 2, true);
}

}  // namespace ponder::bench
