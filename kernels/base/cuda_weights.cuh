// Weights of every type as floats: eight consecutive elements of a row at a time, k a multiple of 8.
#pragma once

#include "kernels/base/cuda_common.cuh"

namespace ponder::cuda {

__device__ inline float half_at(const uint8_t* p) { return __half2float(__ushort_as_half(static_cast<unsigned short>(p[0] | p[1] << 8))); }

// e4m3 to f16 is exact.
__device__ inline float2 e4m3x2_to_f32(uint16_t pair) {
  const __half2_raw raw = __nv_cvt_fp8x2_to_halfraw2(pair, __NV_E4M3);
  return __half22float2(*reinterpret_cast<const __half2*>(&raw));
}

// Row of one matrix: `row` its first byte, `scales` its fp8 scales. Raw: eight elements as they are read, for those who want to have
// many of them on their way before they decode the first.
template <uint32_t Type>
struct WeightRow;
struct RawFloats {
  float values[8];
};
template <uint32_t Type>
struct RawByDecoding {  // of types that are not worth keeping in bits
  using Raw = RawFloats;
  static __device__ Raw read(const uint8_t* row, const float* scales, uint32_t k) {
    Raw raw;
    WeightRow<Type>::load8(raw.values, row, scales, k);
    return raw;
  }
  static __device__ void decode(float* out, const Raw& raw, const float*, uint32_t) {
#pragma unroll
    for (int i = 0; i < 8; ++i) out[i] = raw.values[i];
  }
};

template <>
struct WeightRow<PONDER_TYPE_F32> : RawByDecoding<PONDER_TYPE_F32> {
  static __device__ void load8(float* out, const uint8_t* row, const float*, uint32_t k) {
    const float4 a = *reinterpret_cast<const float4*>(row + 4ull * k), b = *reinterpret_cast<const float4*>(row + 4ull * k + 16);
    out[0] = a.x, out[1] = a.y, out[2] = a.z, out[3] = a.w, out[4] = b.x, out[5] = b.y, out[6] = b.z, out[7] = b.w;
  }
  static __device__ float at(const uint8_t* row, const float*, uint32_t k) { return reinterpret_cast<const float*>(row)[k]; }
};
template <>
struct WeightRow<PONDER_TYPE_BF16> {
  using Raw = uint4;
  static __device__ Raw read(const uint8_t* row, const float*, uint32_t k) { return __ldcs(reinterpret_cast<const uint4*>(row + 2ull * k)); }
  static __device__ void load8(float* out, const uint8_t* row, const float* scales, uint32_t k) {
    decode(out, *reinterpret_cast<const uint4*>(row + 2ull * k), scales, k);
  }
  static __device__ void decode(float* out, const Raw& v, const float*, uint32_t) {
    const uint32_t words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      out[2 * i] = __uint_as_float(words[i] << 16);
      out[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
    }
  }
  static __device__ float at(const uint8_t* row, const float*, uint32_t k) { return __bfloat162float(reinterpret_cast<const bf16*>(row)[k]); }
};
template <>
struct WeightRow<PONDER_TYPE_F16> {
  using Raw = uint4;
  static __device__ Raw read(const uint8_t* row, const float*, uint32_t k) { return __ldcs(reinterpret_cast<const uint4*>(row + 2ull * k)); }
  static __device__ void load8(float* out, const uint8_t* row, const float* scales, uint32_t k) {
    decode(out, *reinterpret_cast<const uint4*>(row + 2ull * k), scales, k);
  }
  static __device__ void decode(float* out, const Raw& v, const float*, uint32_t) {
    const __half2* pairs = reinterpret_cast<const __half2*>(&v);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float2 f = __half22float2(pairs[i]);
      out[2 * i] = f.x, out[2 * i + 1] = f.y;
    }
  }
  static __device__ float at(const uint8_t* row, const float*, uint32_t k) { return __half2float(reinterpret_cast<const __half*>(row)[k]); }
};
template <>
struct WeightRow<PONDER_TYPE_F8_E4M3> {
  using Raw = uint2;
  static __device__ Raw read(const uint8_t* row, const float*, uint32_t k) { return __ldcs(reinterpret_cast<const uint2*>(row + k)); }
  static __device__ void load8(float* out, const uint8_t* row, const float* scales, uint32_t k) {
    decode(out, *reinterpret_cast<const uint2*>(row + k), scales, k);
  }
  static __device__ void decode(float* out, const Raw& v, const float* scales, uint32_t k) {
    const float scale = scales[k / 128];
    const uint32_t words[2] = {v.x, v.y};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float2 f = e4m3x2_to_f32(static_cast<uint16_t>(words[i / 2] >> (i % 2 * 16)));
      out[2 * i] = f.x * scale, out[2 * i + 1] = f.y * scale;
    }
  }
  static __device__ float at(const uint8_t* row, const float* scales, uint32_t k) {
    return e4m3x2_to_f32(row[k]).x * scales[k / 128];
  }
};
template <>
struct WeightRow<PONDER_TYPE_Q8_0> : RawByDecoding<PONDER_TYPE_Q8_0> {
  static __device__ void load8(float* out, const uint8_t* row, const float*, uint32_t k) {
    const uint8_t* block = row + k / 32 * 34;
    const float d = __half2float(*reinterpret_cast<const __half*>(block));
    const uint16_t* q = reinterpret_cast<const uint16_t*>(block + 2 + k % 32);  // blocks are 2-byte aligned
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const uint16_t pair = q[i];
      out[2 * i] = d * static_cast<float>(static_cast<int8_t>(pair & 0xff));
      out[2 * i + 1] = d * static_cast<float>(static_cast<int8_t>(pair >> 8));
    }
  }
};
template <>
struct WeightRow<PONDER_TYPE_Q4_0> : RawByDecoding<PONDER_TYPE_Q4_0> {
  static __device__ void load8(float* out, const uint8_t* row, const float*, uint32_t k) {
    const uint8_t* block = row + k / 32 * 18;
    const float d = __half2float(*reinterpret_cast<const __half*>(block));
    const uint16_t* q = reinterpret_cast<const uint16_t*>(block + 2 + k % 16);
    const int shift = k % 32 / 16 * 4;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const uint32_t pair = q[i];
      out[2 * i] = d * static_cast<float>(static_cast<int>(pair >> shift & 0xf) - 8);
      out[2 * i + 1] = d * static_cast<float>(static_cast<int>(pair >> (8 + shift) & 0xf) - 8);
    }
  }
};
// Scales and minima of Q4_K and Q5_K: kernels/base/block_k4.inl.h.
__device__ inline void k4_scales(const uint8_t* p, uint32_t g, float& scale, float& minimum) {
  if (g < 4) {
    scale = static_cast<float>(p[g] & 63), minimum = static_cast<float>(p[g + 4] & 63);
  } else {
    scale = static_cast<float>((p[g + 4] & 0xf) | p[g - 4] >> 6 << 4);
    minimum = static_cast<float>(p[g + 4] >> 4 | p[g] >> 6 << 4);
  }
}
template <>
struct WeightRow<PONDER_TYPE_Q4_K> : RawByDecoding<PONDER_TYPE_Q4_K> {
  static __device__ void load8(float* out, const uint8_t* row, const float*, uint32_t k) {
    const uint8_t* block = row + k / 256 * 144;
    const __half2 dm = *reinterpret_cast<const __half2*>(block);
    const uint32_t at = k % 256, g = at / 32;
    float scale, minimum;
    k4_scales(block + 4, g, scale, minimum);
    scale *= __low2float(dm), minimum *= __high2float(dm);
    const uint2 q = *reinterpret_cast<const uint2*>(block + 16 + g / 2 * 32 + at % 32);
    const int shift = static_cast<int>(g % 2 * 4);
#pragma unroll
    for (int i = 0; i < 8; ++i)
      out[i] = scale * static_cast<float>((i < 4 ? q.x : q.y) >> (i % 4 * 8 + shift) & 0xf) - minimum;
  }
};
template <>
struct WeightRow<PONDER_TYPE_Q5_K> : RawByDecoding<PONDER_TYPE_Q5_K> {
  static __device__ void load8(float* out, const uint8_t* row, const float*, uint32_t k) {
    const uint8_t* block = row + k / 256 * 176;
    const __half2 dm = *reinterpret_cast<const __half2*>(block);
    const uint32_t at = k % 256, g = at / 32;
    float scale, minimum;
    k4_scales(block + 4, g, scale, minimum);
    scale *= __low2float(dm), minimum *= __high2float(dm);
    const uint2 high = *reinterpret_cast<const uint2*>(block + 16 + at % 32);
    const uint2 q = *reinterpret_cast<const uint2*>(block + 48 + g / 2 * 32 + at % 32);
    const int shift = static_cast<int>(g % 2 * 4);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const uint32_t low = (i < 4 ? q.x : q.y) >> (i % 4 * 8 + shift) & 0xf;
      const uint32_t bit = (i < 4 ? high.x : high.y) >> (i % 4 * 8 + static_cast<int>(g)) & 1;
      out[i] = scale * static_cast<float>(low | bit << 4) - minimum;
    }
  }
};
template <>
struct WeightRow<PONDER_TYPE_Q6_K> : RawByDecoding<PONDER_TYPE_Q6_K> {
  static __device__ void load8(float* out, const uint8_t* row, const float*, uint32_t k) {
    const uint8_t* block = row + k / 256 * 210;
    const float d = __half2float(*reinterpret_cast<const __half*>(block + 208));
    const uint32_t at = k % 256, n = at / 128, j = at % 128 / 32, i0 = at % 32;
    const float scale = d * static_cast<float>(static_cast<int8_t>(block[192 + at / 16]));
    const uint16_t* q = reinterpret_cast<const uint16_t*>(block + 64 * n + j % 2 * 32 + i0);
    const uint16_t* h = reinterpret_cast<const uint16_t*>(block + 128 + 32 * n + i0);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const uint32_t low = q[i] >> (j / 2 * 4), high = h[i] >> (2 * j);
      out[2 * i] = scale * static_cast<float>(static_cast<int>((low & 0xf) | (high & 3) << 4) - 32);
      out[2 * i + 1] = scale * static_cast<float>(static_cast<int>((low >> 8 & 0xf) | (high >> 8 & 3) << 4) - 32);
    }
  }
};

// Eight elements from k on, those at n_in and beyond 0. Rows are padded to 16 bytes, so that whole loads stay inside.
template <uint32_t Type>
__device__ inline void load8_or_0(float* out, const uint8_t* row, const float* scales, uint32_t k, uint32_t n_in) {
  if (k + 8 <= n_in) return WeightRow<Type>::load8(out, row, scales, k);
#pragma unroll
  for (int i = 0; i < 8; ++i) out[i] = 0;
  if constexpr (Type <= PONDER_TYPE_F8_E4M3)  // the others have whole blocks
    for (uint32_t i = 0; k + i < n_in; ++i) out[i] = WeightRow<Type>::at(row, scales, k + i);
}

// body(std::integral_constant<uint32_t, Type>) for a type known at run time.
template <uint32_t Type>
struct TypeConstant {
  static constexpr uint32_t value = Type;
};
template <class Body>
inline void with_type(uint32_t type, Body&& body) {
  switch (type) {
    case PONDER_TYPE_F32: return body(TypeConstant<PONDER_TYPE_F32>());
    case PONDER_TYPE_F16: return body(TypeConstant<PONDER_TYPE_F16>());
    case PONDER_TYPE_BF16: return body(TypeConstant<PONDER_TYPE_BF16>());
    case PONDER_TYPE_F8_E4M3: return body(TypeConstant<PONDER_TYPE_F8_E4M3>());
    case PONDER_TYPE_Q4_0: return body(TypeConstant<PONDER_TYPE_Q4_0>());
    case PONDER_TYPE_Q8_0: return body(TypeConstant<PONDER_TYPE_Q8_0>());
    case PONDER_TYPE_Q4_K: return body(TypeConstant<PONDER_TYPE_Q4_K>());
    case PONDER_TYPE_Q5_K: return body(TypeConstant<PONDER_TYPE_Q5_K>());
    case PONDER_TYPE_Q6_K: return body(TypeConstant<PONDER_TYPE_Q6_K>());
    default: return;
  }
}

__device__ inline const uint8_t* matrix_row(const ponder_device_matrix& w, uint64_t matrix, uint64_t row) {
  return static_cast<const uint8_t*>(w.data) + matrix * w.stack_bytes + row * w.row_bytes;
}
__device__ inline const float* matrix_scales(const ponder_device_matrix& w, uint64_t matrix, uint64_t row) {
  return w.scale_inv ? w.scale_inv + matrix * w.stack_scales + row / 128 * w.n_scale_cols : nullptr;
}

}  // namespace ponder::cuda
