#include "lib/base/status.h"

#include <doctest/doctest.h>

#include <memory>

#include "lib/base/format.h"
#include "lib/base/tensor.h"

using namespace ponder::core;

namespace {

Status pass_up(Status status) {
  PONDER_TRY(std::move(status));
  return {Code::internal, "went on"};
}

Result<int> unwrap(Result<std::unique_ptr<int>> result) {
  PONDER_ASSIGN(const std::unique_ptr<int> number, std::move(result));
  return *number;
}

}  // namespace

TEST_CASE("status: a new one is ok and has no message") {
  CHECK(Status().ok());
  CHECK(Status().message().empty());
}

TEST_CASE("status: PONDER_TRY passes a failure up and goes on after ok") {
  CHECK(pass_up({Code::io, "disk"}).code() == Code::io);
  CHECK(pass_up({}).code() == Code::internal);
}

TEST_CASE("status: PONDER_ASSIGN unwraps a move-only value or passes the failure up") {
  CHECK(*unwrap(std::make_unique<int>(7)) == 7);
  const Result<int> failed = unwrap({Code::not_found, "gone"});
  CHECK_FALSE(failed.ok());
  CHECK(failed.status().message() == "gone");
}

TEST_CASE("status: a prefix says where, and leaves ok alone") {
  CHECK(Status(Code::bad_file, "byte 3").with_prefix("config.json").message() == "config.json: byte 3");
  CHECK(Status().with_prefix("config.json").message().empty());
}

TEST_CASE("status: fail formats its message") { CHECK(fail(Code::state, "{} of {}", 1, 2).message() == "1 of 2"); }

TEST_CASE("shape: compares, counts and prints its dimensions") {
  const Shape shape{160, 5120};
  CHECK(shape.to_string() == "[160, 5120]");
  CHECK(shape.n_elements() == 819200);
  CHECK(shape == Shape{160, 5120});
  CHECK_FALSE(shape == Shape{160});
  CHECK(Shape().n_elements() == 1);
}
