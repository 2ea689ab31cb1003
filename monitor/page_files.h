// The files of the page, in the program itself (cmake/embed.cmake makes them).
#pragma once

#include <span>
#include <string_view>

namespace curfew {

struct PageFile {
    std::string_view path;  ///< with its slash
    std::string_view type;  ///< MIME
    std::string_view bytes;
};

[[nodiscard]] std::span<const PageFile> page_files();

}  // namespace curfew
