#include "kernels/attend_rows/attend_rows.h"

#include <algorithm>

#include "kernels/convert/convert.h"
#include "tests/kernels/kernel_test.h"

using namespace ponder::kernels;

namespace {

enum class Type { f32, f16, bf16, bf16_dots };
constexpr Type kTypes[] = {Type::f32, Type::f16, Type::bf16, Type::bf16_dots};

ImplList<AttendFn> impls(Type type) {
  switch (type) {
    case Type::f32: return attend_f32_impls();
    case Type::f16: return attend_f16_impls();
    case Type::bf16: return attend_bf16_impls();
    case Type::bf16_dots: break;
  }
  return attend_bf16_dots_impls();
}

struct Shape {
  std::size_t rows, keys, key_dims, value_dims;
};

// Queries, keys and values as a kernel of one type reads them, rows apart from each other.
struct Problem {
  Problem(Type of, const Shape& of_shape, std::uint64_t seed = 1)
      : type(of), shape(of_shape), key_bytes(type == Type::f32 ? 4 : 2), query_bytes(type == Type::bf16_dots ? 2 : 4),
        queries(shape.rows * shape.key_dims * query_bytes, 4), keys(shape.keys * shape.key_dims * key_bytes, 2),
        values(shape.keys * shape.value_dims * key_bytes, 2) {
    Random random(seed);
    fill_bytes(queries, shape.rows * shape.key_dims, query_bytes, random, 3.0f);
    fill_bytes(keys, shape.keys * shape.key_dims, key_bytes, random, 1.0f);
    fill_bytes(values, shape.keys * shape.value_dims, key_bytes, random, 1.0f);
  }
  void fill_bytes(const Input<unsigned char>& bytes, std::size_t n, std::size_t element_bytes, Random& random, float most) const {
    for (std::size_t i = 0; i < n; ++i) set(bytes, i, element_bytes, random.uniform(-most, most));
  }
  void set(const Input<unsigned char>& bytes, std::size_t i, std::size_t element_bytes, float value) const {
    if (element_bytes == 4) std::memcpy(bytes.data() + 4 * i, &value, 4);
    else if (type == Type::f16) f32_to_f16_ref(bytes.data() + 2 * i, &value, 1);
    else f32_to_bf16_ref(bytes.data() + 2 * i, &value, 1);
  }
  Type type;
  Shape shape;
  std::size_t key_bytes, query_bytes;
  Input<unsigned char> queries, keys, values;
};

struct Rows {
  explicit Rows(const Shape& shape)
      : stride(shape.value_dims + 3), out(shape.rows * stride), running_max(shape.rows), sum(shape.rows) {
    for (std::size_t i = 0; i < shape.rows * stride; ++i) out[i] = 0;
    for (std::size_t r = 0; r < shape.rows; ++r) running_max[r] = -kInf, sum[r] = 0;
  }
  std::size_t stride;
  Output<float> out, running_max, sum;
};

// keys [first, first + n) of the problem
void run(AttendFn* fn, const Problem& p, Rows& rows, std::size_t first, std::size_t n) {
  const std::size_t key_stride = p.shape.key_dims * p.key_bytes, value_stride = p.shape.value_dims * p.key_bytes;
  fn({p.queries.data(), p.keys.data() + first * key_stride, p.values.data() + first * value_stride,
      p.shape.key_dims * p.query_bytes, key_stride, value_stride, p.shape.rows, n, p.shape.key_dims, p.shape.value_dims,
      rows.out.data(), rows.stride, rows.running_max.data(), rows.sum.data(), {p.keys.data(), nullptr}, {100, 0}, 1000, 9});
}

AttendFn* reference(Type type) {
  const ImplList<AttendFn> list = impls(type);
  return list.first[list.count - 1].fn;
}

}  // namespace

TEST_CASE("attend: every shape against the reference, over two blocks; nothing else is written") {
  const Shape shapes[] = {{1, 1, 1, 1},     {1, 17, 64, 64},  {2, 3, 8, 40},   {3, 64, 17, 33},  {4, 5, 33, 16},
                          {5, 65, 128, 128}, {6, 40, 128, 128}, {7, 9, 48, 24},  {8, 64, 576, 512}, {9, 2, 31, 65},
                          {12, 130, 20, 100}, {16, 63, 96, 70},  {23, 8, 15, 129}};
  for (Type type : kTypes)
    for_each_supported(impls(type), [&](AttendFn* fn) {
      for (const Shape& shape : shapes) {
        CAPTURE(static_cast<int>(type));
        CAPTURE(shape.rows);
        CAPTURE(shape.keys);
        CAPTURE(shape.key_dims);
        CAPTURE(shape.value_dims);
        const Problem problem(type, shape, shape.rows);
        Rows got(shape), want(shape);
        const std::size_t first = shape.keys / 3;
        for (const auto& [rows, kernel] : {std::pair{&got, fn}, std::pair{&want, reference(type)}}) {
          run(kernel, problem, *rows, 0, first);
          run(kernel, problem, *rows, first, shape.keys - first);
        }
        // Scores are sums of up to 576 products of up to 3.
        const double score_error = 2e-6 * 3 * static_cast<double>(shape.key_dims);
        const double weight_error = 2 * score_error + (type == Type::bf16_dots ? 0x1p-8 : 0) + 1e-6;
        std::size_t n_wrong = 0;
        for (std::size_t r = 0; r < shape.rows; ++r) {
          n_wrong += !near(got.running_max[r], double{want.running_max[r]}, score_error);
          n_wrong += !near(got.sum[r], double{want.sum[r]}, (2 * score_error + 1e-6) * double{want.sum[r]});
          for (std::size_t k = 0; k < got.stride; ++k) {
            const double wanted = double{want.out[r * got.stride + k]};
            if (k < shape.value_dims) n_wrong += !near(got.out[r * got.stride + k], wanted, weight_error * double{want.sum[r]});
            else n_wrong += got.out[r * got.stride + k] != 0;
          }
        }
        CHECK(n_wrong == 0);
        CHECK((got.out.guards_intact() && got.running_max.guards_intact() && got.sum.guards_intact()));
      }
    });
}

TEST_CASE("attend: a block of larger scores scales down what came before") {
  for (Type type : kTypes)
    for_each_supported(impls(type), [&](AttendFn* fn) {
      const Problem problem(type, {1, 2, 1, 1});
      problem.set(problem.queries, 0, problem.query_bytes, 1.0f);
      for (std::size_t i = 0; i < 2; ++i) {
        problem.set(problem.keys, i, problem.key_bytes, i == 0 ? 1.0f : 3.0f);
        problem.set(problem.values, i, problem.key_bytes, i == 0 ? 8.0f : -4.0f);
      }
      Rows rows(problem.shape);
      run(fn, problem, rows, 0, 1);
      CHECK(rows.out[0] == 8);
      run(fn, problem, rows, 1, 1);
      CHECK(rows.running_max[0] == 3);
      CHECK(near(rows.sum[0], 1 + std::exp(-2.0), 1e-6));
      CHECK(near(rows.out[0], -4 + 8 * std::exp(-2.0), 1e-5));
    });
}

TEST_CASE("attend: scores of -inf leave a row as it was, NaN shows in its sum alone") {
  for (Type type : kTypes)
    for_each_supported(impls(type), [&](AttendFn* fn) {
      const Problem problem(type, {2, 9, 4, 20});
      for (std::size_t k = 0; k < 4; ++k) problem.set(problem.queries, k, problem.query_bytes, 1.0f);
      for (std::size_t i = 0; i < 36; ++i) problem.set(problem.keys, i, problem.key_bytes, i % 4 == 0 ? -kInf : 0.5f);
      problem.set(problem.queries, 4, problem.query_bytes, kNan);
      Rows rows(problem.shape);
      run(fn, problem, rows, 0, 9);
      CHECK(rows.sum[0] == 0);
      CHECK(rows.running_max[0] == -kInf);
      for (std::size_t k = 0; k < 20; ++k) CHECK(rows.out[k] == 0);
      CHECK(std::isnan(rows.sum[1]));
    });
}
