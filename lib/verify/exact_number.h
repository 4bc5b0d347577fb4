// Exact rational numbers of bounded size, for comparing answers. Numerator and denominator stay below 2^512; what would
// grow beyond that is "no number" (nullopt), so that no input costs more than a fixed amount of time and memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace ponder::core {

// An integer, sign and magnitude, |value| < 2^512.
class BigInt {
 public:
  static constexpr std::size_t kLimbs = 16;

  BigInt() = default;
  BigInt(std::int64_t value);  // NOLINT: implicit on purpose, as for the built-in integers

  bool is_zero() const { return n_ == 0; }
  bool is_negative() const { return negative_; }
  bool is_one() const { return n_ == 1 && limb_[0] == 1 && !negative_; }
  BigInt negated() const;
  // The value, when it fits.
  std::optional<std::int64_t> small() const;
  double to_double() const;

  friend std::optional<BigInt> add(const BigInt& a, const BigInt& b);
  friend std::optional<BigInt> multiply(const BigInt& a, const BigInt& b);
  // Magnitudes: a = quotient * b + remainder, b not zero; the signs of a and b are ignored.
  friend void divide(const BigInt& a, const BigInt& b, BigInt& quotient, BigInt& remainder);
  friend BigInt gcd(BigInt a, BigInt b);
  friend bool operator==(const BigInt& a, const BigInt& b);

  // The n-th root (n >= 1) of a value that is not negative, when it is an integer.
  std::optional<BigInt> exact_root(int n) const;

 private:
  static int compare_magnitude(const BigInt& a, const BigInt& b);
  static BigInt subtract_magnitude(const BigInt& a, const BigInt& b);  // a >= b
  std::size_t n_bits() const;
  bool bit(std::size_t i) const { return (limb_[i / 32] >> (i % 32)) & 1u; }
  void set_bit(std::size_t i);
  void shift_right();
  void shift_left();  // the top bit must be free
  void trim();

  std::array<std::uint32_t, kLimbs> limb_{};  // least significant first
  std::size_t n_ = 0;                         // limbs in use
  bool negative_ = false;
};

// A fraction in lowest terms, the denominator positive.
class Rational {
 public:
  Rational() = default;
  Rational(std::int64_t value) : numerator_(value) {}  // NOLINT: implicit on purpose
  static std::optional<Rational> make(BigInt numerator, BigInt denominator);
  // Digits with at most one point, "12.50" or ".5"; at most `max_digits` digits.
  static std::optional<Rational> parse_decimal(std::string_view text, std::size_t max_digits);

  bool is_zero() const { return numerator_.is_zero(); }
  bool is_negative() const { return numerator_.is_negative(); }
  bool is_integer() const { return denominator_.is_one(); }
  // Whether it has a finite decimal expansion: 3/8 has, 1/3 has not.
  bool terminates() const;
  double to_double() const { return numerator_.to_double() / denominator_.to_double(); }
  const BigInt& numerator() const { return numerator_; }
  const BigInt& denominator() const { return denominator_; }

  Rational negated() const;
  std::optional<Rational> reciprocal() const;         // none of zero
  std::optional<Rational> power(std::int64_t n) const;
  std::optional<Rational> exact_root(int n) const;    // none when irrational, or an even root of a negative number

  friend std::optional<Rational> operator+(const Rational& a, const Rational& b);
  friend std::optional<Rational> operator*(const Rational& a, const Rational& b);
  friend bool operator==(const Rational& a, const Rational& b) {
    return a.numerator_ == b.numerator_ && a.denominator_ == b.denominator_;
  }

 private:
  BigInt numerator_ = 0, denominator_ = 1;
};

}  // namespace ponder::core
