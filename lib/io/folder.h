// The names in a folder. Not std::filesystem::directory_iterator: libstdc++'s ends the program when memory runs out in it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace ponder::core {

// Files, folders and links, without "." and "..", sorted; at most 100,000 of them. Empty where there is no such folder or it
// cannot be read.
std::vector<std::string> names_in_folder(const std::filesystem::path& folder);

}  // namespace ponder::core
