#include "worker/handlers/accept.h"

#include <re2/re2.h>

#include <stdexcept>

namespace curfew {
namespace {

std::unique_ptr<re2::RE2> compile(const std::string& pattern) {
    auto compiled = std::make_unique<re2::RE2>(pattern, re2::RE2::Quiet);
    if (!compiled->ok()) throw std::invalid_argument("--accept: '" + pattern + "': " + compiled->error());
    return compiled;
}

}  // namespace

AcceptHandler::AcceptHandler(const std::string& pattern, std::unique_ptr<Handler> inner)
    : pattern_(compile(pattern)), inner_(std::move(inner)) {}

AcceptHandler::~AcceptHandler() = default;

void AcceptHandler::check(const std::string& pattern) {
    (void)compile(pattern);
}

void AcceptHandler::turn(Instant now, std::vector<WorkEnd>& ends) {
    const std::size_t before = ends.size();
    inner_->turn(now, ends);
    for (std::size_t i = before; i < ends.size(); ++i) {
        WorkEnd& end = ends[i];
        if (end.finish != Finish::ok || re2::RE2::PartialMatch(end.result, *pattern_)) continue;
        end.finish = Finish::failed;
        end.error = "the result has no match of --accept " + pattern_->pattern();
        end.result.clear();
    }
}

}  // namespace curfew
