// Payloads that are kept for a while: thousands a turn, mostly small, and let go in much the same order. Small ones
// stand one behind the other in blocks that they share, and a block goes with the last of them; a large one has memory
// of its own. Cheaper than an allocation each, and nothing is ever searched for a free place.
//
// Memory: what is kept, and at worst, where only stragglers are left, a block for each of them. Bytes outlive the store
// that they come from. Pure, not thread safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace curfew {

class ByteStore;

/// What is kept; movable, gone when it is destroyed.
class Bytes {
public:
    Bytes() = default;
    Bytes(Bytes&& other) noexcept { swap(other); }
    Bytes& operator=(Bytes&& other) noexcept {
        Bytes taken(std::move(other));
        swap(taken);
        return *this;
    }
    ~Bytes() {
        if (block_ != nullptr) block_->leave();
    }

    [[nodiscard]] std::string_view view() const { return view_; }
    operator std::string_view() const { return view_; }  // NOLINT(google-explicit-constructor): it is its bytes
    [[nodiscard]] std::size_t size() const { return view_.size(); }

private:
    friend class ByteStore;

    struct Block {
        static constexpr std::size_t kSize = 16 * 1024 - 8;
        std::uint32_t users = 1;
        std::uint32_t used = 0;
        char room[kSize];

        void leave() {
            if (--users == 0) delete this;
        }
    };

    Bytes(std::string_view view, Block* block) : view_(view), block_(block) {}
    explicit Bytes(std::string&& own) : own_(std::make_unique<std::string>(std::move(own))) { view_ = *own_; }
    void swap(Bytes& other) noexcept {
        std::swap(view_, other.view_);
        std::swap(block_, other.block_);
        std::swap(own_, other.own_);
    }

    std::string_view view_;
    Block* block_ = nullptr;            // of small ones
    std::unique_ptr<std::string> own_;  // of large ones
};

class ByteStore {
public:
    ByteStore() = default;
    ByteStore(const ByteStore&) = delete;
    ByteStore& operator=(const ByteStore&) = delete;
    ~ByteStore() {
        if (block_ != nullptr) block_->leave();
    }

    [[nodiscard]] Bytes keep(std::string_view bytes) {
        return bytes.size() > kLargest ? Bytes(std::string(bytes)) : keep_small(bytes);
    }
    /// The same; a large one is not copied.
    [[nodiscard]] Bytes keep(std::string&& bytes) {
        return bytes.size() > kLargest ? Bytes(std::move(bytes)) : keep_small(bytes);
    }

private:
    using Block = Bytes::Block;
    static constexpr std::size_t kLargest = 1024;  // so that a block is filled by fifteen at least

    Bytes keep_small(std::string_view bytes) {
        if (bytes.empty()) return {};
        if (block_ == nullptr || Block::kSize - block_->used < bytes.size()) {
            if (block_ != nullptr) block_->leave();
            block_ = new Block;
        }
        char* at = block_->room + block_->used;
        std::memcpy(at, bytes.data(), bytes.size());
        block_->used += static_cast<std::uint32_t>(bytes.size());
        ++block_->users;
        return {std::string_view(at, bytes.size()), block_};
    }

    Block* block_ = nullptr;  // the one that is being filled; the store is a user of it
};

}  // namespace curfew
