#include "lib/io/folder.h"

#include <doctest/doctest.h>

#include "lib/io/mapped_file.h"
#include "lib/io/path_text.h"
#include "tests/lib/io/temporary_folder.h"

using namespace ponder::core;
using ponder::test::as_bytes;
using ponder::test::TemporaryFolder;

TEST_CASE("folder: names of files, folders and links, sorted, without the dots") {
  const TemporaryFolder folder;
  CHECK(names_in_folder(folder.path()).empty());
  for (const char* name : {"b", ".hidden", "a b", "é"}) REQUIRE(write_file(folder.path() / to_path(name), as_bytes("x")).ok());
  std::filesystem::create_directories(folder.path() / "c");
#ifdef _WIN32  // links need rights there
  REQUIRE(write_file(folder.path() / "link", as_bytes("x")).ok());
#else
  std::filesystem::create_symlink("nowhere", folder.path() / "link");
#endif
  CHECK(names_in_folder(folder.path()) == std::vector<std::string>{".hidden", "a b", "b", "c", "link", "é"});
}

TEST_CASE("folder: one that is not there, or a file, has no names") {
  const TemporaryFolder folder;
  REQUIRE(write_file(folder.path() / "file", as_bytes("x")).ok());
  CHECK(names_in_folder(folder.path() / "none").empty());
  CHECK(names_in_folder(folder.path() / "file").empty());
}
