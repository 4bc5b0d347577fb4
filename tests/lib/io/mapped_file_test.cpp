#include "lib/io/mapped_file.h"

#include <doctest/doctest.h>

#include <fstream>
#include <string>
#include <string_view>

#include "tests/lib/io/temporary_folder.h"

using namespace ponder::core;
using ponder::test::as_bytes;
using ponder::test::TemporaryFolder;

TEST_CASE("mapped file: what was written is read back") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "file";
  REQUIRE(write_file(path, as_bytes("one")).ok());
  REQUIRE(write_file(path, as_bytes("second")).ok());
  const auto file = MappedFile::open(path);
  REQUIRE(file.ok());
  CHECK((*file)->text() == "second");
  (*file)->will_need(1, 1000);
  (*file)->will_need(1000, 1);
  const auto entries = std::filesystem::directory_iterator(folder.path());
  CHECK(std::distance(begin(entries), end(entries)) == 1);
}

TEST_CASE("mapped file: pages that were let go leave memory and read as before") {
  const TemporaryFolder folder;
  std::string text(std::size_t{8} << 20, ' ');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 2654435761u >> 13);
  REQUIRE(write_file(folder.path() / "file", as_bytes(text)).ok());
  const auto file = MappedFile::open(folder.path() / "file");
  REQUIRE(file.ok());
  // Resident pages of files, of this process; 0 where the system does not tell.
  const auto resident = [] {
#ifdef __linux__  // wine shows the file, but keeps the pages
    std::size_t total = 0, all = 0, of_files = 0;
    std::ifstream("/proc/self/statm") >> total >> all >> of_files;
    return of_files;
#else
    return std::size_t{0};
#endif
  };
  CHECK((*file)->text() == text);
  const std::size_t before = resident();
  (*file)->let_go((*file)->bytes().subspan(5000));
  if (before > 0) CHECK(resident() < before - 100);  // 2047 pages of 4 KiB; fewer where pages are larger
  CHECK((*file)->text() == text);
}

TEST_CASE("mapped file: an empty file is a valid, empty span") {
  const TemporaryFolder folder;
  REQUIRE(write_file(folder.path() / "empty", {}).ok());
  const auto file = MappedFile::open(folder.path() / "empty");
  REQUIRE(file.ok());
  CHECK((*file)->bytes().empty());
}

TEST_CASE("mapped file: a missing file and a folder are errors that name them") {
  const TemporaryFolder folder;
  const auto missing = MappedFile::open(folder.path() / "missing");
  REQUIRE_FALSE(missing.ok());
  CHECK(missing.status().code() == Code::not_found);
  CHECK(missing.status().message().find("missing") != std::string::npos);
  CHECK(MappedFile::open(folder.path()).status().code() == Code::io);
}

TEST_CASE("mapped file: read_file refuses what is larger than asked for") {
  const TemporaryFolder folder;
  REQUIRE(write_file(folder.path() / "file", as_bytes("12345")).ok());
  CHECK(*read_file(folder.path() / "file", 5) == "12345");
  CHECK(read_file(folder.path() / "file", 4).status().code() == Code::bad_file);
}

TEST_CASE("mapped file: a write that fails leaves nothing behind") {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder.path() / "taken" / "inside");
  CHECK_FALSE(write_file(folder.path() / "taken", as_bytes("x")).ok());
  CHECK_FALSE(write_file(folder.path() / "no_folder" / "file", as_bytes("x")).ok());
  const auto entries = std::filesystem::directory_iterator(folder.path());
  CHECK(std::distance(begin(entries), end(entries)) == 1);
}
