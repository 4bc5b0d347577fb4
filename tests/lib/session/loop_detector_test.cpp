// Repetitions that are loops, and tables, digits and lists that are not.
#include "lib/session/loop_detector.h"

#include <doctest/doctest.h>

#include <random>
#include <string_view>

using namespace ponder::core;

namespace {

// Index of the token at which the loop is seen, or -1.
int loop_at(const std::vector<TokenId>& ids) {
  LoopDetector detector;
  detector.create();
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (detector.push(ids[i])) return static_cast<int>(i);
  return -1;
}

std::vector<TokenId> numbers(TokenId first, int n) {
  std::vector<TokenId> ids;
  for (int i = 0; i < n; ++i) ids.push_back(first + i);
  return ids;
}

std::vector<TokenId> repeated(const std::vector<TokenId>& ids, int n_times) {
  std::vector<TokenId> out;
  for (int i = 0; i < n_times; ++i) out.insert(out.end(), ids.begin(), ids.end());
  return out;
}

}  // namespace

TEST_CASE("loops: one token again and again is one after 48 repetitions") {
  CHECK(loop_at(repeated({7}, 48)) == -1);
  CHECK(loop_at(repeated({7}, 49)) == 48);
  CHECK(loop_at(repeated({7, 8, 9}, 100)) == 3 + 48 - 1);
}

TEST_CASE("loops: \"wait.\" again and again") {
  const std::vector<TokenId> wait = {100, 101, 102, 103};  // period 4: 64 tokens, not 48
  CHECK(loop_at(repeated(wait, 17)) == 4 + 64 - 1);
  CHECK(loop_at(repeated(wait, 16)) == -1);
}

TEST_CASE("loops: a paragraph of 120 tokens is one at its fourth time, and not before") {
  std::vector<TokenId> ids = numbers(5000, 300);  // something else first
  const std::vector<TokenId> paragraph = numbers(1, 120);
  for (int i = 0; i < 4; ++i) ids.insert(ids.end(), paragraph.begin(), paragraph.end());
  CHECK(loop_at(ids) == 300 + 120 + 360 - 1);
  ids.resize(300 + 120 + 359);
  CHECK(loop_at(ids) == -1);
}

TEST_CASE("loops: a period above 256 is no period, but its text is a phrase seen six times") {
  const std::vector<TokenId> ids = repeated(numbers(1, 300), 7);
  CHECK(loop_at(ids) == 5 * 300 + 31);
}

TEST_CASE("loops: a phrase between other texts is one at the sixth time") {
  const std::vector<TokenId> phrase = numbers(1, 40);
  std::vector<TokenId> ids;
  int end_of_fifth = 0, sixth = 0;
  for (int i = 0; i < 6; ++i) {
    const std::vector<TokenId> other = numbers(1000 + 1000 * i, 37 + i);
    ids.insert(ids.end(), other.begin(), other.end());
    sixth = static_cast<int>(ids.size());
    ids.insert(ids.end(), phrase.begin(), phrase.end());
    if (i == 4) end_of_fifth = static_cast<int>(ids.size());
  }
  CHECK(loop_at(ids) == sixth + 31);
  ids.resize(static_cast<std::size_t>(end_of_fifth));
  CHECK(loop_at(ids) == -1);
}

TEST_CASE("loops: a phrase that was last seen more than 2048 tokens ago is forgotten") {
  const std::vector<TokenId> phrase = numbers(1, 40);
  std::vector<TokenId> ids;
  for (int i = 0; i < 10; ++i) {
    ids.insert(ids.end(), phrase.begin(), phrase.end());
    const std::vector<TokenId> other = numbers(10000 + 1000 * i, 700);
    ids.insert(ids.end(), other.begin(), other.end());
  }
  CHECK(loop_at(ids) == -1);
}

TEST_CASE("loops: tables, zeros and numbered lists are none") {
  // 40 rows of a table, "| n | n |": what differs is the number.
  std::vector<TokenId> table;
  for (int row = 0; row < 40; ++row)
    for (TokenId id : {200, 201, 1000 + row, 201, 2000 + row, 200, 10}) table.push_back(id);
  CHECK(loop_at(table) == -1);
  // Rows that are equal, below the limit of three periods and 64 tokens.
  CHECK(loop_at(repeated({200, 201, 202, 203, 204, 205, 206, 207, 208, 10}, 7)) == -1);
  // 10^60 in groups of three digits: a token for "1", 20 of "000".
  std::vector<TokenId> zeros = {49};
  for (int i = 0; i < 20; ++i) zeros.push_back(3000);
  CHECK(loop_at(zeros) == -1);
}

TEST_CASE("loops: random tokens are none, and after a reset nothing is remembered") {
  std::mt19937 random(5);
  LoopDetector detector;
  detector.create();
  for (int i = 0; i < 20000; ++i) REQUIRE(!detector.push(static_cast<TokenId>(random() % 50)));
  detector.reset();
  for (int i = 0; i < 48; ++i) REQUIRE(!detector.push(7));
  detector.reset();
  for (int i = 0; i < 48; ++i) REQUIRE(!detector.push(7));
  CHECK(detector.push(7));
}
