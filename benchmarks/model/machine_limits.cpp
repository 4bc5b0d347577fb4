#include "benchmarks/model/machine_limits.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(__x86_64__) && defined(__GNUC__)
#define PONDER_BENCH_X86 1
#include <immintrin.h>
#endif

namespace ponder::bench {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Seconds that n_threads threads take for body(0) .. body(n_tasks - 1); they start together, the caller is one of them.
template <class F>
double time_tasks(int n_threads, std::size_t n_tasks, F&& body) {
  std::atomic<int> n_waiting{0};
  std::atomic<std::size_t> next{0};
  Clock::time_point start;
  const auto work = [&](bool caller) {
    if (caller) {
      while (n_waiting.load() < n_threads - 1) std::this_thread::yield();
      start = Clock::now();
    }
    n_waiting.fetch_add(1);
    while (n_waiting.load() < n_threads) std::this_thread::yield();
    for (std::size_t i; (i = next.fetch_add(1)) < n_tasks;) body(i);
  };
  std::vector<std::thread> threads;
  for (int i = 1; i < n_threads; ++i) threads.emplace_back(work, false);
  work(true);
  for (std::thread& thread : threads) thread.join();
  return seconds_since(start);
}

std::uint64_t read_plain(const std::uint64_t* data, std::size_t n) {
  std::uint64_t a = 0, b = 0, c = 0, d = 0;
  for (std::size_t i = 0; i + 4 <= n; i += 4) a ^= data[i], b ^= data[i + 1], c ^= data[i + 2], d ^= data[i + 3];
  return a ^ b ^ c ^ d;
}

constexpr std::size_t kChains = 12;  // latency 4 or 5 cycles, two units

double fma_plain(std::size_t n_rounds) {
  float sums[kChains] = {};
  for (std::size_t i = 0; i < n_rounds; ++i)
    for (float& sum : sums) sum = sum * 0.999f + 1.0f;
  float total = 0;
  for (float sum : sums) total += sum;
  return total;
}

#ifdef PONDER_BENCH_X86
__attribute__((target("avx2"))) std::uint64_t read_avx2(const std::uint64_t* data, std::size_t n) {
  __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
  const auto* v = reinterpret_cast<const __m256i*>(data);
  for (std::size_t i = 0; i + 4 <= n / 4; i += 4) {
    a = _mm256_xor_si256(a, _mm256_loadu_si256(v + i));
    b = _mm256_xor_si256(b, _mm256_loadu_si256(v + i + 1));
    c = _mm256_xor_si256(c, _mm256_loadu_si256(v + i + 2));
    d = _mm256_xor_si256(d, _mm256_loadu_si256(v + i + 3));
  }
  a = _mm256_xor_si256(_mm256_xor_si256(a, b), _mm256_xor_si256(c, d));
  return static_cast<std::uint64_t>(_mm256_extract_epi64(a, 0) ^ _mm256_extract_epi64(a, 3));
}

__attribute__((target("avx2,fma"))) double fma_avx2(std::size_t n_rounds) {
  const __m256 x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(1.0f);
  __m256 sums[kChains];
  for (__m256& sum : sums) sum = _mm256_setzero_ps();
  for (std::size_t i = 0; i < n_rounds; ++i)
    for (__m256& sum : sums) sum = _mm256_fmadd_ps(sum, x, y);
  double total = 0;
  for (__m256& sum : sums) total += _mm256_cvtss_f32(sum);
  return total;
}

__attribute__((target("avx512f"))) double fma_avx512(std::size_t n_rounds) {
  const __m512 x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(1.0f);
  __m512 sums[kChains];
  for (__m512& sum : sums) sum = _mm512_setzero_ps();
  for (std::size_t i = 0; i < n_rounds; ++i)
    for (__m512& sum : sums) sum = _mm512_fmadd_ps(sum, x, y);
  double total = 0;
  for (__m512& sum : sums) total += _mm512_cvtss_f32(sum);
  return total;
}

__attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16"))) double dot_avx512bf16(std::size_t n_rounds) {
  __m512i ones = _mm512_set1_epi16(0x3f80);
  __m512bh x;
  std::memcpy(&x, &ones, sizeof x);
  __m512 sums[kChains];
  for (__m512& sum : sums) sum = _mm512_setzero_ps();
  for (std::size_t i = 0; i < n_rounds; ++i)
    for (__m512& sum : sums) sum = _mm512_dpbf16_ps(sum, x, x);
  double total = 0;
  for (__m512& sum : sums) total += _mm512_cvtss_f32(sum);
  return total;
}

// Pairs summed to 16 bits and added up there: the least that a product without VNNI needs.
__attribute__((target("avx2"))) double dot_avx2(std::size_t n_rounds) {
  const __m256i x = _mm256_set1_epi8(1), y = _mm256_set1_epi8(2);
  __m256i sums[kChains];
  for (__m256i& sum : sums) sum = _mm256_setzero_si256();
  // As assembly: else the product would be taken out of the loop, or a sum be kept in memory.
  for (std::size_t i = 0; i < n_rounds; ++i)
    for (__m256i& sum : sums) {
      __m256i products;
      asm("vpmaddubsw %2, %3, %1\n\tvpaddw %1, %0, %0" : "+x"(sum), "=&x"(products) : "x"(x), "x"(y));
    }
  double total = 0;
  for (__m256i& sum : sums) total += _mm256_extract_epi32(sum, 0);
  return total;
}

// g++ 12 warns of its own _mm512_castsi512_si128.
__attribute__((target("avx512f"))) std::uint64_t first_word(__m512i v) {
  std::uint64_t words[8];
  _mm512_storeu_si512(words, v);
  return words[0];
}

__attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni"))) double dot_avx512vnni(std::size_t n_rounds) {
  const __m512i x = _mm512_set1_epi8(1);
  __m512i sums[kChains];
  for (__m512i& sum : sums) sum = _mm512_setzero_si512();
  for (std::size_t i = 0; i < n_rounds; ++i)
    for (__m512i& sum : sums) sum = _mm512_dpbusd_epi32(sum, x, x);
  double total = 0;
  for (__m512i& sum : sums) total += static_cast<double>(first_word(sum));
  return total;
}

__attribute__((target("avx512f"))) std::uint64_t read_avx512(const std::uint64_t* data, std::size_t n) {
  __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
  for (std::size_t i = 0; i + 32 <= n; i += 32) {
    a = _mm512_xor_si512(a, _mm512_loadu_si512(data + i));
    b = _mm512_xor_si512(b, _mm512_loadu_si512(data + i + 8));
    c = _mm512_xor_si512(c, _mm512_loadu_si512(data + i + 16));
    d = _mm512_xor_si512(d, _mm512_loadu_si512(data + i + 24));
  }
  a = _mm512_xor_si512(_mm512_xor_si512(a, b), _mm512_xor_si512(c, d));
  return first_word(a);
}
#endif

// In pages of 2 MiB where the system gives them: a bound should not be that of its page tables.
struct FreeLarge {
  void operator()(std::uint64_t* data) const { ::operator delete(data, std::align_val_t{std::size_t{2} << 20}); }
};
std::unique_ptr<std::uint64_t[], FreeLarge> allocate_large(std::size_t n_bytes) {
  void* memory = ::operator new(n_bytes, std::align_val_t{std::size_t{2} << 20});
#if defined(__linux__)
  (void)madvise(memory, n_bytes, MADV_HUGEPAGE);  // a wish
#endif
  std::memset(memory, 1, n_bytes);
  return std::unique_ptr<std::uint64_t[], FreeLarge>(static_cast<std::uint64_t*>(memory));
}

// Best of several runs on all threads.
double flops(int n_threads, double (*work)(std::size_t), double flops_per_round) {
  constexpr std::size_t kRounds = 2'000'000;
  const auto n_tasks = 4 * static_cast<std::size_t>(n_threads);
  std::atomic<double> sink{0};
  double best = 0;
  for (int run = 0; run < 6; ++run) {
    const double seconds = time_tasks(
        n_threads, n_tasks, [&](std::size_t) { sink.store(work(kRounds), std::memory_order_relaxed); });
    best = std::max(best, static_cast<double>(n_tasks * kRounds) * flops_per_round / seconds);
  }
  return best;
}

}  // namespace

void MachineLimits::raise_to(const MachineLimits& other) {
  read_bytes_per_s = std::max(read_bytes_per_s, other.read_bytes_per_s);
  if (other.f32_flops_per_s > f32_flops_per_s) f32_flops_per_s = other.f32_flops_per_s, f32_isa = other.f32_isa;
  bf16_flops_per_s = std::max(bf16_flops_per_s, other.bf16_flops_per_s);
  if (other.int8_ops_per_s > int8_ops_per_s) int8_ops_per_s = other.int8_ops_per_s, int8_isa = other.int8_isa;
}

MachineLimits measure_limits(int n_threads, bool avx2_only) {
  MachineLimits limits;
  constexpr std::size_t kBytes = std::size_t{1} << 30, kPieceWords = 32 * 1024;  // 256 KiB, as a task of the model
  const auto buffer = allocate_large(kBytes);
  auto read = read_plain;
#ifdef PONDER_BENCH_X86
  if (__builtin_cpu_supports("avx2")) read = read_avx2;
  if (!avx2_only && __builtin_cpu_supports("avx512f")) read = read_avx512;
#endif
  std::atomic<std::uint64_t> sink{0};
  for (int run = 0; run < 8; ++run) {
    const double seconds = time_tasks(n_threads, kBytes / sizeof(std::uint64_t) / kPieceWords, [&](std::size_t i) {
      sink.fetch_xor(read(buffer.get() + i * kPieceWords, kPieceWords), std::memory_order_relaxed);
    });
    limits.read_bytes_per_s = std::max(limits.read_bytes_per_s, static_cast<double>(kBytes) / seconds);
  }
  constexpr double kChainOps = 2.0 * kChains;
  limits.f32_flops_per_s = flops(n_threads, fma_plain, kChainOps);
#ifdef PONDER_BENCH_X86
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    limits.f32_flops_per_s = flops(n_threads, fma_avx2, 8 * kChainOps);
    limits.f32_isa = "avx2";
    limits.int8_ops_per_s = flops(n_threads, dot_avx2, 32 * kChainOps);
    limits.int8_isa = "avx2";
  }
  if (avx2_only) return limits;
  if (__builtin_cpu_supports("avx512f")) {
    const double avx512 = flops(n_threads, fma_avx512, 16 * kChainOps);
    if (avx512 > limits.f32_flops_per_s) limits.f32_flops_per_s = avx512, limits.f32_isa = "avx512";
  }
  if (__builtin_cpu_supports("avx512bf16")) limits.bf16_flops_per_s = flops(n_threads, dot_avx512bf16, 32 * kChainOps);
  if (__builtin_cpu_supports("avx512vnni")) {
    const double vnni = flops(n_threads, dot_avx512vnni, 64 * kChainOps);
    if (vnni > limits.int8_ops_per_s) limits.int8_ops_per_s = vnni, limits.int8_isa = "avx512vnni";
  }
#else
  (void)avx2_only;
#endif
  return limits;
}

}  // namespace ponder::bench
