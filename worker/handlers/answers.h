// What is said to a program that stays, and what its answers mean, by `--framing json`:
//
//     {"seq":7,"attempt":1,"deadline_ms":29998,"message":"..."}       (message_base64: of what is no UTF-8)
//     {"ok":"..."}, {"failed":"why"} or {"rejected":"why"}             with "seq":7, if it likes
//
// Pure.
#pragma once

#include <string>
#include <string_view>

#include "worker/handlers/exec.h"

namespace curfew {

/// Without the newline at its end.
[[nodiscard]] std::string json_question(Instant now, const Work& work);
/// `in_its_senses`: false where the program has said what is no answer, so that it has to be
/// started anew.
[[nodiscard]] WorkEnd end_of_json(Slot slot, Seq seq, std::string_view answer, bool& in_its_senses);

/// Of a message that has no answer, since its program was stopped, has ended, or has said what it
/// should not have.
[[nodiscard]] WorkEnd end_without_answer(const ExecOptions& options, Slot slot, const DoneBody& done,
                                         std::string_view note);

}  // namespace curfew
