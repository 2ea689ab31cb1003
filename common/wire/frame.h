// Bytes on their way: what a core has written and a socket takes. A Frame owns memory of malloc,
// which is never filled with zeros first and can be handed to libzmq as it is, so that a batch is
// copied once: into its frame.
//
// Pure, not thread safe. Movable; copy() is for those who have to keep one. An empty frame owns
// nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace curfew {

class Frame {
public:
    Frame() = default;
    explicit Frame(std::string_view bytes) { write(bytes.data(), bytes.size()); }
    Frame(Frame&& other) noexcept { swap(other); }
    Frame& operator=(Frame&& other) noexcept {
        swap(other);
        return *this;
    }
    ~Frame() { std::free(data_); }

    [[nodiscard]] std::string_view view() const { return {data_, size_}; }
    operator std::string_view() const { return view(); }  // NOLINT(google-explicit-constructor): it is its bytes
    operator std::string() const { return std::string(view()); }  // NOLINT(google-explicit-constructor): copied
    [[nodiscard]] char* data() { return data_; }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] Frame copy() const { return Frame(view()); }

    void write(const char* bytes, std::size_t size) {
        if (capacity_ - size_ < size) grow(size);
        if (size != 0) std::memcpy(data_ + size_, bytes, size);
        size_ += size;
    }
    void shrink(std::size_t size) { size_ = size; }
    void reserve(std::size_t capacity) {
        if (capacity > capacity_) grow(capacity - size_);
    }

    /// Gives the memory away: the receiver frees it with free().
    [[nodiscard]] char* release() {
        size_ = capacity_ = 0;
        return std::exchange(data_, nullptr);
    }

private:
    void swap(Frame& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
    }
    void grow(std::size_t more) {
        constexpr std::size_t kSmallest = 256;
        capacity_ = std::max({kSmallest, capacity_ * 2, size_ + more});
        void* grown = std::realloc(data_, capacity_);
        if (grown == nullptr) throw std::bad_alloc();
        data_ = static_cast<char*>(grown);
    }

    char* data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

}  // namespace curfew
