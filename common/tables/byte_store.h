// Payloads that are kept for a while: thousands a turn, mostly small, and let go in much the same
// order. Small ones stand one behind the other in blocks that they share, and a block goes with the
// last of them; a large one has memory of its own. Cheaper than an allocation each, and nothing is
// ever searched for a free place.
//
// Memory: what is kept, and at worst, where only stragglers are left, a block for each of them.
// Bytes outlive the store that they come from. Pure, not thread safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
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

    /// Memory with users; gone with the last of them.
    struct Block {
        std::uint32_t users = 1;
        bool large = false;
        inline void leave();
    };
    /// Of small ones.
    struct SharedBlock : Block {
        static constexpr std::size_t kSize = 16 * 1024 - 16;
        std::uint32_t used = 0;
        char room[kSize];
    };
    /// Of a large one.
    struct OwnBlock : Block {
        explicit OwnBlock(std::string&& bytes) : own(std::move(bytes)) { large = true; }
        std::string own;
    };

    Bytes(std::string_view view, Block* block) : view_(view), block_(block) {}
    void swap(Bytes& other) noexcept {
        std::swap(view_, other.view_);
        std::swap(block_, other.block_);
    }

    std::string_view view_;
    Block* block_ = nullptr;
};

void Bytes::Block::leave() {
    if (--users != 0) return;
    if (large) {
        delete static_cast<OwnBlock*>(this);
    } else {
        delete static_cast<SharedBlock*>(this);
    }
}

class ByteStore {
public:
    ByteStore() = default;
    ByteStore(const ByteStore&) = delete;
    ByteStore& operator=(const ByteStore&) = delete;
    ~ByteStore() {
        if (block_ != nullptr) block_->leave();
    }

    [[nodiscard]] Bytes keep(std::string_view bytes) {
        return bytes.size() > kLargest ? keep_large(std::string(bytes)) : keep_small(bytes);
    }
    /// The same; a large one is not copied.
    [[nodiscard]] Bytes keep(std::string&& bytes) {
        return bytes.size() > kLargest ? keep_large(std::move(bytes)) : keep_small(bytes);
    }

private:
    using Block = Bytes::SharedBlock;
    static constexpr std::size_t kLargest = 1024;  // so that a block is filled by fifteen at least

    static Bytes keep_large(std::string&& bytes) {
        auto* block = new Bytes::OwnBlock(std::move(bytes));
        return {block->own, block};
    }

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
