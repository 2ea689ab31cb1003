// The words as text: for dumps, logs, JSON and metrics.
#include "common/words/vocabulary.h"

namespace curfew {

std::string_view name_of(End end) {
    switch (end) {
        case End::won: return "won";
        case End::late: return "late";
        case End::cancelled: return "cancelled";
        case End::failed: return "failed";
        case End::expired: return "expired";
        case End::lost: return "lost";
    }
    return "?";
}

std::string_view name_of(Outcome outcome) {
    switch (outcome) {
        case Outcome::completed: return "completed";
        case Outcome::failed: return "failed";
        case Outcome::expired: return "expired";
        case Outcome::cancelled: return "cancelled";
    }
    return "?";
}

std::string_view name_of(AttemptState state) {
    switch (state) {
        case AttemptState::queued: return "queued";
        case AttemptState::running: return "running";
        case AttemptState::cancelling: return "cancelling";
        case AttemptState::reported: return "reported";
    }
    return "?";
}

std::string_view name_of(CancelReason reason) {
    switch (reason) {
        case CancelReason::decided: return "decided";
        case CancelReason::deadline: return "deadline";
        case CancelReason::lost: return "lost";
    }
    return "?";
}

std::string_view name_of(ReportKind kind) {
    switch (kind) {
        case ReportKind::ok: return "ok";
        case ReportKind::late: return "late";
        case ReportKind::failed: return "failed";
        case ReportKind::rejected: return "rejected";
        case ReportKind::cancelled: return "cancelled";
        case ReportKind::expired: return "expired";
        case ReportKind::returned: return "returned";
    }
    return "?";
}

}  // namespace curfew
