#include "benchmarks/kernels/kernel_bench.h"

#include <cctype>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "lib/base/dtype.h"

namespace ponder::bench {

std::vector<Shape> shapes(const char* file) {
  const std::string path = std::string(PONDER_BENCH_SHAPES "/") + file;
  std::ifstream in(path);
  if (!in) {
    std::fprintf(stderr, "cannot read %s\n", path.c_str());
    std::exit(1);
  }
  std::vector<Shape> all;
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    std::string model, part;
    words >> model >> part;
    Shape shape{model + " " + part, {}};
    for (std::size_t size; words >> size;) shape.sizes.push_back(size);
    all.push_back(shape);
  }
  return all;
}

Memory weights_memory() {
  static const std::vector<std::uint32_t> words = [] {
    std::vector<std::uint32_t> filled(std::size_t{96} << 20);  // 384 MiB
    std::uint64_t state = 1;
    for (std::uint32_t& word : filled) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      word = 0x3c003c00u | (static_cast<std::uint32_t>(state >> 32) & 0x83bf83bfu);  // no byte is 0x7f or 0xff
    }
    return filled;
  }();
  return {reinterpret_cast<const unsigned char*>(words.data()), words.size() * sizeof words[0]};
}

namespace {

core::DType dtype_of(const std::string& type) {
  if (type == "fp8") return core::DType::f8_e4m3;
  for (std::size_t i = 0; i < core::kDTypeCount; ++i) {
    const auto known = static_cast<core::DType>(i);
    std::string name(core::dtype_name(known));
    for (char& letter : name) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    if (name == type) return known;
  }
  std::fprintf(stderr, "unknown type %s\n", type.c_str());
  std::exit(1);
}

}  // namespace

std::size_t row_bytes_of(const std::string& type, std::size_t n_cols) { return core::row_bytes(dtype_of(type), n_cols); }

bool fits(const std::string& type, std::size_t n_cols) { return n_cols % core::block_elements(dtype_of(type)) == 0; }

const MachineLimits& limits() {
  static const MachineLimits of_one_thread = measure_limits(1);
  return of_one_thread;
}

Matrices::Matrices(const std::string& type, std::size_t n_rows, std::size_t n_cols) {
  matrix_.row_stride_bytes = row_bytes_of(type, n_cols);
  bytes_ = n_rows * matrix_.row_stride_bytes;
  if (type == "fp8") {
    matrix_.scale_stride = (n_cols + 127) / 128;
    scales_.assign((n_rows + 127) / 128 * matrix_.scale_stride, 0.01f);
    matrix_.scale_inv = scales_.data();
  }
}

const kernels::WeightMatrix* Matrices::next() {
  const Memory memory = weights_memory();
  if (at_ + bytes_ > memory.size) at_ = 0;
  matrix_.data = memory.data + at_;
  at_ += bytes_;
  return &matrix_;
}

}  // namespace ponder::bench

int main(int argc, char** argv) {
  ponder::bench::register_benchmarks();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  ponder::bench::weights_memory();  // both before the first benchmark, whose time they would fall into
  ponder::bench::limits();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
