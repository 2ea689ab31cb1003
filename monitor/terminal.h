// What the terminal can show, as its environment says.
#pragma once

namespace curfew {

/// Whether the locale of the process says so.
[[nodiscard]] bool locale_is_utf8();
/// COLUMNS, or those of the terminal at stdout; 80 where neither is known.
[[nodiscard]] int columns_of_terminal();
[[nodiscard]] bool stdout_is_terminal();
/// The same, but as many as it takes where stdout is no terminal.
[[nodiscard]] int columns_of_stdout();

}  // namespace curfew
