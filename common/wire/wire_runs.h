// Runs on the wire, for the writer and the reader alone. A run is [type, number, seq, what is
// shared..., items]: number and seq are those of the first item, each further one has the next of
// both, unless two naturals in front of it say how many of each are left out; an item is its
// payload. The items are msgpack within the bytes of one part, so that parsing a run costs no more
// than its items do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace curfew::wire {

inline constexpr std::uint8_t kTaskRun = 9, kReportRun = 15;
/// So that the number behind it is a number, too.
inline constexpr std::uint64_t kLastInRun = UINT64_MAX - 2;

/// The items of a run: naturals and bytes, one behind the other.
class Items {
public:
    explicit Items(std::string_view bytes = {}) : left_(bytes) {}

    [[nodiscard]] bool empty() const { return left_.empty(); }
    [[nodiscard]] std::string_view rest() const { return left_; }
    /// The next item: moves `number` and `seq`, which are what they are if nothing is left out,
    /// behind it. False, here and below, where there is none; the rest is of no use then.
    template <typename R>
    bool next(std::uint64_t& number, std::uint64_t& seq, R& record) {
        std::uint64_t numbers = 0, seqs = 0;
        if (left_.empty()) return false;
        if (at_natural() && (!natural(numbers) || !natural(seqs))) return false;
        if (number > kLastInRun || numbers > kLastInRun - number || seq > kLastInRun || seqs > kLastInRun - seq) {
            return false;
        }
        record.number = number + numbers;
        record.seq = seq + seqs;
        number = record.number + 1;
        seq = record.seq + 1;
        return bytes(record.payload);
    }

private:
    [[nodiscard]] bool at_natural() const { return first() < 0x80 || (first() >= 0xcc && first() <= 0xcf); }
    bool natural(std::uint64_t& value) {
        if (left_.empty() || !at_natural()) return false;
        const std::uint8_t type = first();
        if (type >= 0x80) return big_endian(std::size_t{1} << (type - 0xcc), value);
        value = type;
        left_.remove_prefix(1);
        return true;
    }
    bool bytes(std::string_view& value) {
        if (left_.empty()) return false;
        const std::uint8_t type = first();
        std::uint64_t size = type & 0x1fU;  // of a short string
        if (type >= 0xc4 && type <= 0xc6) {
            if (!big_endian(std::size_t{1} << (type - 0xc4), size)) return false;
        } else if (type >= 0xd9 && type <= 0xdb) {
            if (!big_endian(std::size_t{1} << (type - 0xd9), size)) return false;
        } else if (type >= 0xa0 && type <= 0xbf) {
            left_.remove_prefix(1);
        } else {
            return false;
        }
        if (size > left_.size()) return false;
        value = left_.substr(0, size);
        left_.remove_prefix(size);
        return true;
    }
    [[nodiscard]] std::uint8_t first() const { return static_cast<std::uint8_t>(left_.front()); }
    /// The number of so many bytes behind the type.
    bool big_endian(std::size_t width, std::uint64_t& value) {
        if (left_.size() < 1 + width) return false;
        value = 0;
        for (std::size_t i = 1; i <= width; ++i) value = value << 8 | static_cast<std::uint8_t>(left_[i]);
        left_.remove_prefix(1 + width);
        return true;
    }

    std::string_view left_;
};

}  // namespace curfew::wire
