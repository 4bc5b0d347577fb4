// Which instruction sets a kernel needs, and which this CPU (and its operating system) offers.
#pragma once

namespace ponder::kernels {

// Ordered within one architecture: a level includes all below it. `neon` stands alone (arm64).
enum class Isa : int { ref = 0, avx2 = 1, avx512 = 2, avx512vnni = 3, avx512bf16 = 4, neon = 100 };

const char* isa_name(Isa isa);                 // "ref", "avx2", "avx512", "avx512vnni", "avx512bf16", "neon"
bool isa_from_name(const char* name, Isa& out);  // false for an unknown name; out untouched

// True when the CPU and OS support it. avx2 also means FMA, F16C and BMI2; avx512 means F, BW, DQ and VL.
bool isa_supported(Isa isa);

// The best supported level not above `cap` (Isa::neon as cap means "no cap" on arm64).
Isa best_isa(Isa cap);
Isa highest_isa();  // no cap

// Whether bf16 dot products do more work per cycle than f32 FMA. AMD (from Zen 4 on): one of 512 bits per cycle, twice the
// rate of f32. Intel's cores from Golden Cove on: half the rate of f32, measured 100 against 198 GFLOP/s per core on
// Sapphire Rapids; their way to fast bf16 is AMX.
bool bf16_dot_is_fast();

}  // namespace ponder::kernels
