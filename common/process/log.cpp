#include "common/process/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace curfew::log {
namespace {

spdlog::logger& logger() {
    static const std::shared_ptr<spdlog::logger> instance = [] {
        auto made = std::make_shared<spdlog::logger>("curfew", std::make_shared<spdlog::sinks::stderr_sink_st>());
        made->set_level(spdlog::level::warn);
        made->set_pattern("%Y-%m-%dT%H:%M:%S.%e %l curfew %v");
        return made;
    }();
    return *instance;
}

spdlog::level::level_enum to_spdlog(Level level) {
    switch (level) {
        case Level::debug: return spdlog::level::debug;
        case Level::info: return spdlog::level::info;
        case Level::warn: return spdlog::level::warn;
        case Level::error: return spdlog::level::err;
    }
    return spdlog::level::err;
}

}  // namespace

bool set_level(std::string_view word) {
    if (word == "debug") {
        logger().set_level(spdlog::level::debug);
    } else if (word == "info") {
        logger().set_level(spdlog::level::info);
    } else if (word == "warn") {
        logger().set_level(spdlog::level::warn);
    } else if (word == "error") {
        logger().set_level(spdlog::level::err);
    } else {
        return false;
    }
    return true;
}

void set_name(std::string_view name) {
    logger().set_pattern(fmt::format("%Y-%m-%dT%H:%M:%S.%e %l {} %v", name));
}

void write(Level level, std::string_view line) {
    logger().log(to_spdlog(level), line);
}

bool wanted(Level level) {
    return logger().should_log(to_spdlog(level));
}

std::string quoted(std::string_view value, std::size_t most) {
    std::string out = "\"";
    for (const char c : value.substr(0, most)) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (byte < 0x20 || byte == 0x7f) {
            out += fmt::format("\\x{:02x}", byte);
        } else {
            out += c;
        }
    }
    if (value.size() > most) out += "...";
    return out + '"';
}

}  // namespace curfew::log
