#include "monitor/terminal.h"

#include <langinfo.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <clocale>
#include <cstdlib>
#include <string_view>

namespace curfew {

bool locale_is_utf8() {
    std::setlocale(LC_CTYPE, "");
    return std::string_view(nl_langinfo(CODESET)) == "UTF-8";
}

int columns_of_terminal() {
    const char* said = std::getenv("COLUMNS");
    int columns = said != nullptr ? std::atoi(said) : 0;
    winsize size{};
    if (columns == 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) columns = size.ws_col;
    return columns >= 40 && columns <= 1000 ? columns : 80;
}

bool stdout_is_terminal() {
    return isatty(STDOUT_FILENO) != 0;
}

int columns_of_stdout() {
    constexpr int kAsItTakes = 1000;
    return stdout_is_terminal() ? columns_of_terminal() : kAsItTakes;
}

}  // namespace curfew
