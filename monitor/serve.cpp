#include "monitor/serve.h"

#include <fmt/format.h>
#include <httplib.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "common/process/log.h"
#include "common/process/options.h"
#include "monitor/dump_view.h"
#include "monitor/history.h"
#include "monitor/metrics.h"
#include "monitor/page_files.h"
#include "monitor/readiness.h"

namespace curfew {
namespace {

using nlohmann::json;

constexpr int kPageColumns = 200;  // of a text

double unix_time() {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string text_of(const json& value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

/// Of a Host header, with its port or without.
bool is_loopback_name(const std::string& host) {
    const std::string name =
        host.starts_with("[") ? host.substr(0, host.find(']') + 1) : host.substr(0, host.find(':'));
    const bool in_digits = name.find_first_not_of("0123456789.") == std::string::npos;
    return name == "localhost" || name == "[::1]" || (in_digits && name.starts_with("127."));
}

/// Takes as long whatever is wrong.
bool equal(const std::string& a, const std::string& b) {
    if (a.size() != b.size()) return false;
    unsigned differing = 0;
    for (std::size_t i = 0; i < a.size(); ++i) differing |= static_cast<unsigned char>(a[i] ^ b[i]);
    return differing == 0;
}

/// The last look at the group, and what was seen before. Looks once a second, in a thread of its
/// own.
class Watcher {
public:
    explicit Watcher(Group group) : group_(std::move(group)), thread_([this] { run(); }) {}
    ~Watcher() {
        {
            const std::scoped_lock lock(mutex_);
            closing_ = true;
        }
        wake_.notify_all();
        thread_.join();
    }
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;

    struct Look {
        double time = 0;  ///< 0: none yet
        std::vector<Said> stats;
        std::string problem;  ///< why there is nothing
        double ended = 0;     ///< since then no process answers; 0: one does
    };
    /// The last one; waits for the first.
    [[nodiscard]] Look last() {
        std::unique_lock lock(mutex_);
        looked_.wait_for(lock, std::chrono::seconds(3), [&] { return last_.time != 0; });
        return last_;
    }
    [[nodiscard]] json history(double seconds) {
        const std::scoped_lock lock(mutex_);
        return history_.json(last_.ended != 0 ? last_.ended : unix_time(), seconds);
    }
    /// What each said when the broker answered last.
    [[nodiscard]] std::vector<Said> last_figures() {
        const std::scoped_lock lock(mutex_);
        return last_figures_;
    }

private:
    void run() {
        std::unique_lock lock(mutex_);
        while (!closing_) {
            const auto next = std::chrono::steady_clock::now() + std::chrono::seconds(1);
            lock.unlock();
            Look look;
            try {
                look.stats = group_.stats();
            } catch (const std::exception& error) {
                look.problem = error.what();
            }
            look.time = unix_time();
            lock.lock();
            take(std::move(look));
            looked_.notify_all();
            wake_.wait_until(lock, next, [&] { return closing_; });
        }
    }

    void take(Look look) {
        const double ended = last_.ended;
        if (!last_figures_.empty() && !anybody_answers(look.stats)) look.ended = ended != 0 ? ended : look.time;
        // Where it ended, it stays.
        if (ended == 0 || look.ended == 0) history_.add(look.time, look.stats);
        if (!broker_of(look.stats).is_null()) last_figures_ = look.stats;
        last_ = std::move(look);
    }

    Group group_;
    std::mutex mutex_;
    std::condition_variable wake_, looked_;
    bool closing_ = false;
    Look last_;
    std::vector<Said> last_figures_;
    History history_;
    std::thread thread_;
};

/// Dumps and stories cost the group more than stats: one at a time, and the same dump at most twice
/// a second.
class Dumper {
public:
    explicit Dumper(Group group) : group_(std::move(group)) {}
    [[nodiscard]] json dump(const json& query) {
        const std::scoped_lock lock(mutex_);
        const auto now = std::chrono::steady_clock::now();
        if (query != query_ || now - at_ > std::chrono::milliseconds(500)) {
            dump_ = group_.dump(query);
            query_ = query;
            at_ = now;
        }
        return dump_;
    }
    [[nodiscard]] json story(const std::string& task) {
        const std::scoped_lock lock(mutex_);
        return group_.story(task);
    }

private:
    std::mutex mutex_;
    Group group_;
    json query_, dump_;
    std::chrono::steady_clock::time_point at_{};
};

class Site {
public:
    Site(const ServeOptions& options, Group stats, Group dumps)
        : options_(options), watcher_(std::move(stats)), dumper_(std::move(dumps)) {
        server_.set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
            return admit(request, response) ? httplib::Server::HandlerResponse::Unhandled
                                            : httplib::Server::HandlerResponse::Handled;
        });
        server_.set_exception_handler(
            [](const httplib::Request&, httplib::Response& response, std::exception_ptr what) {
                try {
                    std::rethrow_exception(std::move(what));
                } catch (const std::exception& error) {
                    fail(response, 503, error.what());
                }
            });
        server_.set_default_headers({{"X-Content-Type-Options", "nosniff"},
                                     {"Cache-Control", "no-store"},
                                     {"Referrer-Policy", "no-referrer"},
                                     {"Content-Security-Policy",
                                      "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
                                      "connect-src 'self'; img-src 'self' data:; frame-ancestors 'none'"}});
        server_.set_payload_max_length(64 << 10);
        server_.set_read_timeout(std::chrono::seconds(5));
        server_.set_write_timeout(std::chrono::seconds(5));
        server_.set_keep_alive_max_count(1000);
        // Without SO_REUSEPORT, which is the library's default: two of us would share a port, each
        // asked now and then.
        server_.set_socket_options([](socket_t socket) {
            const int yes = 1;
            setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        });
        server_.new_task_queue = [] { return new httplib::ThreadPool(16); };
        add_pages();
        add_answers();
    }

    int run() {
        errno = 0;
        const int port = options_.port == 0 ? server_.bind_to_any_port(options_.host) : options_.port;
        if (port < 0 || (options_.port != 0 && !server_.bind_to_port(options_.host, port))) {
            throw std::runtime_error(fmt::format("serve: cannot listen at {}:{}: {}", options_.host, options_.port,
                                                 errno != 0 ? std::strerror(errno) : "no such address"));
        }
        fmt::print(stderr, "curfew-monitor: http://{}:{}/\n", options_.host, port);
        return server_.listen_after_bind() ? 0 : 1;
    }
    void stop() { server_.stop(); }

private:
    static void fail(httplib::Response& response, int status, const std::string& why) {
        response.status = status;
        response.set_content(text_of({{"error", why}}) + "\n", "application/json");
    }

    /// Only reading, only by those who may.
    bool admit(const httplib::Request& request, httplib::Response& response) const {
        if (request.method != "GET" && request.method != "HEAD") {
            response.set_header("Allow", "GET, HEAD");
            fail(response, 405, "this only looks: GET");
            return false;
        }
        if (options_.token.empty()) {
            // A page elsewhere may have given its own name to this machine.
            if (is_loopback_name(request.get_header_value("Host"))) return true;
            fail(response, 403, "ask for localhost");
            return false;
        }
        const std::string said = request.get_header_value("Authorization");
        if (equal(said, "Bearer " + options_.token)) return true;
        if (equal(said, httplib::make_basic_authentication_header("curfew", options_.token).second)) return true;
        response.set_header("WWW-Authenticate", "Basic realm=\"curfew\"");
        fail(response, 401, "say the token: as a bearer, or as the password of the user curfew");
        return false;
    }

    /// The page of a task is the same for each.
    void add_pages() {
        for (const PageFile& file : page_files()) {
            const std::string path = file.path == "/task.html" ? "/task/.+" : std::string(file.path);
            server_.Get(path, [&file](const httplib::Request&, httplib::Response& response) {
                response.set_content(file.bytes.data(), file.bytes.size(), std::string(file.type));
            });
        }
    }

    void add_answers() {
        server_.Get("/livez", [](const httplib::Request&, httplib::Response& response) {
            response.set_content("ok\n", "text/plain; charset=utf-8");
        });
        server_.Get("/readyz", [this](const httplib::Request&, httplib::Response& response) {
            const std::string problem = why_not_ready(watcher_.last().stats);
            response.status = problem.empty() ? 200 : 503;
            response.set_content(problem.empty() ? "ok\n" : problem + "\n", "text/plain; charset=utf-8");
        });
        server_.Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
            response.set_content(metrics(watcher_.last().stats, options_.group),
                                 "text/plain; version=0.0.4; charset=utf-8");
        });
        server_.Get("/stats.json", [this](const httplib::Request&, httplib::Response& response) {
            const auto look = watcher_.last();
            if (!look.problem.empty()) return fail(response, 503, look.problem);
            json said = {{"schema", 1},
                         {"group", options_.group},
                         {"time", look.time},
                         {"ended", look.ended != 0 ? json(look.ended) : json()},
                         {"processes", processes_of(look.stats)}};
            if (look.ended != 0) said["last"] = processes_of(watcher_.last_figures());
            answer(response, said);
        });
        server_.Get("/history.json", [this](const httplib::Request& request, httplib::Response& response) {
            const auto seconds = parse_count(request.has_param("seconds") ? request.get_param_value("seconds") : "600");
            if (!seconds || *seconds > 86'400) return fail(response, 400, "seconds: 1 to 86400");
            answer(response, watcher_.history(static_cast<double>(*seconds)));
        });
        server_.Get("/dump.json", [this](const httplib::Request& request, httplib::Response& response) {
            if (const auto query = query_of(request, response)) answer(response, dumper_.dump(*query));
        });
        server_.Get("/story.json", [this](const httplib::Request& request, httplib::Response& response) {
            const std::string task = request.get_param_value("task");
            if (task.empty()) return fail(response, 400, "task: say its number, or the id that its sender gave it");
            const json story = dumper_.story(task);
            if (story.is_null()) return fail(response, 503, "the broker does not answer");
            const std::string why = why_no_story(story, task);
            why.empty() ? answer(response, story) : fail(response, 404, why);
        });
        server_.Get("/dump", [this](const httplib::Request& request, httplib::Response& response) {
            if (const auto query = query_of(request, response))
                response.set_content(group_dump_text(dumper_.dump(*query), true, kPageColumns),
                                     "text/plain; charset=utf-8");
        });
    }

    static json processes_of(const std::vector<Said>& stats) {
        json processes = json::array();
        for (const auto& [name, said] : stats) {
            processes.push_back(said.is_object() ? said
                                                 : json{{"name", name}, {"role", role_of(name)}, {"gone", true}});
        }
        return processes;
    }

    static void answer(httplib::Response& response, const json& what) {
        response.set_content(text_of(what) + "\n", "application/json");
    }

    static std::optional<json> query_of(const httplib::Request& request, httplib::Response& response) {
        json query = {{"limit", 1000}};
        if (request.has_param("limit")) {
            const auto limit = parse_count(request.get_param_value("limit"));
            if (!limit || *limit > 10'000) {
                fail(response, 400, "limit: 0 to 10000");
                return std::nullopt;
            }
            query["limit"] = *limit;
        }
        if (request.has_param("older_than")) {
            const auto age = parse_duration(request.get_param_value("older_than"));
            if (!age) {
                fail(response, 400, "older_than: a duration, like 10s");
                return std::nullopt;
            }
            query["older_than_s"] = std::chrono::duration<double>(*age).count();
        }
        for (const char* word : {"worker", "state"}) {
            if (request.has_param(word)) query[word] = request.get_param_value(word);
        }
        return query;
    }

    ServeOptions options_;
    Watcher watcher_;
    Dumper dumper_;
    httplib::Server server_;
};

}  // namespace

int serve(const ServeOptions& options, Group stats, Group dumps) {
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, nullptr);
    signal(SIGPIPE, SIG_IGN);
    Site site(options, std::move(stats), std::move(dumps));
    std::atomic<bool> stopped = false;
    std::thread ender([&] {
        const timespec pause{0, 100'000'000};
        while (!stopped && sigtimedwait(&ends, nullptr, &pause) < 0) {
        }
        while (!stopped) {  // not once: a server that does not listen yet does not hear it
            site.stop();
            // The server says nowhere that it listens now: it is told again, until it has ended.
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
    });
    const auto end = [&] {
        stopped = true;
        ender.join();
    };
    try {
        const int code = site.run();
        end();
        return code;
    } catch (...) {
        end();
        throw;
    }
}

}  // namespace curfew
