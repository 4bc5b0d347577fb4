#include "lib/io/file_source.h"

#include <doctest/doctest.h>

#include "lib/io/mapped_file.h"
#include "tests/lib/io/temporary_folder.h"

using namespace ponder::core;
using ponder::test::as_bytes;
using ponder::test::TemporaryFolder;

TEST_CASE("file source: a folder and memory give the same bytes") {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder.path() / "sub");
  REQUIRE(write_file(folder.path() / "sub" / "a", as_bytes("text")).ok());
  for (const auto& source : {folder_source(folder.path()), memory_source({{"sub/a", as_bytes("text")}})}) {
    CHECK(source->exists("sub/a"));
    CHECK_FALSE(source->exists("sub/b"));
    const auto file = source->open("sub/a");
    REQUIRE(file.ok());
    CHECK(file->text() == "text");
    CHECK(source->open("sub/b").status().code() == Code::not_found);
  }
}

TEST_CASE("file source: names that leave the source are refused") {
  const TemporaryFolder folder;
  REQUIRE(write_file(folder.path() / "outside", as_bytes("x")).ok());
  std::filesystem::create_directories(folder.path() / "inside");
  const auto source = folder_source(folder.path() / "inside");
  for (const std::string_view name : {"", ".", "..", "../outside", "a/../../outside", "/etc/passwd", "a//b", "a/",
                                      "..\\outside", "C:\\x", "C:x"}) {
    CAPTURE(name);
    CHECK_FALSE(source->exists(name));
    CHECK(source->open(name).status().code() == Code::invalid_argument);
  }
}

TEST_CASE("file source: the bytes of an opened file outlive the source") {
  const TemporaryFolder folder;
  REQUIRE(write_file(folder.path() / "a", as_bytes("text")).ok());
  auto source = folder_source(folder.path());
  const auto file = source->open("a");
  source.reset();
  REQUIRE(file.ok());
  CHECK(file->text() == "text");
}
