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

TEST_CASE("file source: a GGUF model is a named file, whatever its name, or the only one of a folder without config.json") {
  const TemporaryFolder folder;
  const auto write = [&](const char* name, std::string_view text) {
    REQUIRE(write_file(folder.path() / name, as_bytes(text)).ok());
  };
  write("sha256-1234", "GGUF...");
  write("notes", "text");
  CHECK(path_source(folder.path() / "sha256-1234")->gguf_file() == "sha256-1234");
  CHECK(path_source(folder.path() / "notes")->check().message().find("a file, wanted the folder") != std::string::npos);
  CHECK(path_source(folder.path() / "none.gguf")->check().code() == Code::not_found);
  CHECK(path_source(folder.path())->gguf_file() == "");
  write("mmproj-model.gguf", "");
  write("r1-00002-of-00002.gguf", "");
  CHECK(path_source(folder.path())->gguf_file() == "");
  write("r1-00001-of-00002.gguf", "");
  CHECK(path_source(folder.path())->gguf_file() == "r1-00001-of-00002.gguf");
  write("odd:name.gguf", "GGUF");
  CHECK(path_source(folder.path())->gguf_file() == "");  // two models
  const auto odd = path_source(folder.path() / "odd:name.gguf");
  CHECK(odd->gguf_file() == "odd:name.gguf");
  CHECK(odd->open("odd:name.gguf")->text() == "GGUF");
  CHECK(odd->open("../odd:name.gguf").status().code() == Code::invalid_argument);

  const MemoryFile model{"a.gguf", as_bytes("")}, config{"config.json", as_bytes("{}")};
  CHECK(memory_source({model})->gguf_file() == "a.gguf");
  CHECK(memory_source({model, config})->gguf_file() == "");
}
