#include "common/amqp/failure.h"

#include <fmt/format.h>

#include "common/words/exit_code.h"

namespace curfew::amqp {
namespace {

std::string what_to_do(const Access& access, const std::string& name, const std::string& flag, const Refused& refused) {
    const std::string& vhost = access.address.vhost;
    const std::string_view said = refused.what();
    switch (refused.code) {
        case kAccessRefused:
            if (said.find("login") != std::string_view::npos && access.address.user == "guest")
                return "RabbitMQ lets guest in from its own machine only: make a user (rabbitmqctl add_user ME; "
                       "rabbitmqctl set_permissions ME '.*' '.*' '.*'), say amqp://ME@HOST/, and its password by "
                       "--password-file FILE or CURFEW_AMQP_PASSWORD";
            if (said.find("login") != std::string_view::npos)
                return fmt::format("the password of '{}' comes from --password-file FILE, or CURFEW_AMQP_PASSWORD",
                                   access.address.user);
            return fmt::format("allow it: rabbitmqctl set_permissions -p {} {} '.*' '.*' '.*'", vhost,
                               access.address.user);
        case kNotAllowed:
            return fmt::format(
                "make the vhost, or allow it: rabbitmqctl add_vhost {0}; rabbitmqctl set_permissions -p "
                "{0} {1} '.*' '.*' '.*' (a '/' in its name is written %2f)",
                vhost, access.address.user);
        case kNotFound:
            if (flag == "--source" || said.find("exchange") == std::string_view::npos)
                return fmt::format(
                    "make it: rabbitmqadmin -V {} declare queue name={} durable=true "
                    "arguments='{{\"x-queue-type\":\"quorum\",\"x-delivery-limit\":20}}'; or say --declare",
                    vhost, name);
            return fmt::format("make it: rabbitmqadmin -V {} declare exchange name={} type=direct durable=true", vhost,
                               name);
        case kResourceLocked: return "it is exclusive to another connection: name another queue";
        default: return {};
    }
}

}  // namespace

Unusable unusable(const std::string& flag, const Access& access, const std::string& name, const std::exception& error) {
    const std::string place = access.address.text();
    const auto* refused = dynamic_cast<const Refused*>(&error);
    if (refused == nullptr)
        return {kExitUnavailable, fmt::format("{}: {} cannot be reached: {}", flag, place, error.what())};
    const std::string advice = what_to_do(access, name, flag, *refused);
    const int code = refused->code == kNotFound || refused->code == kNotAllowed || refused->code == kNoAmqp
                         ? kExitUnavailable
                         : kExitUsage;
    std::string said = error.what();
    if (said.ends_with('.')) said.pop_back();  // the server's
    return {code, fmt::format("{}: {}: {}{}{}", flag, place, said, advice.empty() ? "" : ". ", advice)};
}

std::string what_is_odd(const std::string& queue, const Refused& refused) {
    const std::string_view said = refused.what();
    if (said.find("'stream'") != std::string_view::npos)
        throw Refused(
            kPreconditionFailed,
            fmt::format("'{}' is a stream, which is not emptied by who reads it: name a quorum queue", queue));
    if (refused.code == kAccessRefused)
        return fmt::format("what kind of queue '{}' is was not seen: the user may not configure it", queue);
    const bool is_other = said.find("'x-queue-type'") != std::string_view::npos ||
                          said.find("'durable'") != std::string_view::npos ||
                          said.find("'auto_delete'") != std::string_view::npos;
    if (!is_other) return {};
    return fmt::format(
        "'{}' is a classic queue: it does not count how often a message comes again, so one that kills workers goes "
        "round for ever; and it is gone with its node. A quorum queue is neither",
        queue);
}

}  // namespace curfew::amqp
