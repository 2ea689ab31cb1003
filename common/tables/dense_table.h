// A table keyed by dense numbers: tasks by seq, attempts by their number. The numbers are handed
// out one after the other and mostly given back in much the same order, so values live in pages of
// sixteen neighbours: what is used together lies together, a value never moves while it is there,
// and a page goes when its last value does. Which pages there are is in a NumberMap.
//
// Memory follows what is in the table: exactly where the numbers are dense; at worst, where only
// stragglers are left, a page for each. Pure, not thread safe. References are valid until their
// value is erased.
#pragma once

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/tables/number_map.h"

namespace curfew {

template <typename Value>
class DenseTable {
public:
    DenseTable() = default;
    DenseTable(const DenseTable&) = delete;
    DenseTable& operator=(const DenseTable&) = delete;

    [[nodiscard]] Value* find(std::uint64_t key) {
        Page* page = page_of(key / kPage);
        return page == nullptr || !page->has(key % kPage) ? nullptr : page->at(key % kPage);
    }
    [[nodiscard]] const Value* find(std::uint64_t key) const { return const_cast<DenseTable*>(this)->find(key); }
    [[nodiscard]] bool contains(std::uint64_t key) const { return find(key) != nullptr; }

    /// A new value, as its constructor leaves it. The key must not be there.
    Value& insert(std::uint64_t key) {
        assert(!contains(key));
        Page* page = page_of(key / kPage);
        if (page == nullptr) page = add_page(key / kPage);
        Value* value = make(page->at(key % kPage));
        page->used |= 1U << key % kPage;
        ++size_;
        return *value;
    }
    Value& insert(std::uint64_t key, Value value) { return insert(key) = std::move(value); }

    /// True if it was there.
    bool erase(std::uint64_t key) {
        Page* page = page_of(key / kPage);
        if (page == nullptr || !page->has(key % kPage)) return false;
        std::destroy_at(page->at(key % kPage));
        page->used &= ~(1U << key % kPage);
        --size_;
        if (page->used == 0) remove_page(page);
        return true;
    }

    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    void clear() {
        pages_.clear();
        last_ = nullptr;
        size_ = 0;
    }

    /// Calls visit(key, value) for each, in no order. `visit` must not insert or erase.
    template <typename Visit>
    void for_each(Visit&& visit) {
        pages_.for_each([&](std::uint64_t, std::unique_ptr<Page>& page) { page->for_each(visit); });
    }
    template <typename Visit>
    void for_each(Visit&& visit) const {
        const_cast<DenseTable*>(this)->for_each([&](std::uint64_t key, const Value& value) { visit(key, value); });
    }

    /// The smallest key, none if it is empty. Looks at each page.
    [[nodiscard]] std::optional<std::uint64_t> first_key() const {
        std::optional<std::uint64_t> first;
        const_cast<DenseTable*>(this)->pages_.for_each([&](std::uint64_t number, std::unique_ptr<Page>& page) {
            const std::uint64_t key = number * kPage + static_cast<std::uint64_t>(std::countr_zero(page->used));
            if (!first || key < *first) first = key;
        });
        return first;
    }

    /// The same in order of the keys; what that costs follows the pages, not the values.
    template <typename Visit>
    void for_each_in_order(Visit&& visit) {
        for (const auto& [number, page] : sorted_pages()) page->for_each(visit);
    }
    template <typename Visit>
    void for_each_in_order(Visit&& visit) const {
        const auto look = [&](std::uint64_t key, const Value& value) { visit(key, value); };
        for (const auto& [number, page] : const_cast<DenseTable*>(this)->sorted_pages()) page->for_each(look);
    }

    /// For a walk in pieces, between which the table may change: the pages there are, in order, and
    /// what is in one of them (nothing, if it is gone).
    [[nodiscard]] std::vector<std::uint64_t> page_numbers() const {
        std::vector<std::uint64_t> numbers;
        numbers.reserve(pages_.size());
        pages_.for_each([&](std::uint64_t number, const std::unique_ptr<Page>&) { numbers.push_back(number); });
        std::ranges::sort(numbers);
        return numbers;
    }
    template <typename Visit>
    void for_each_in_page(std::uint64_t page_number, Visit&& visit) const {
        const std::unique_ptr<Page>* page = pages_.find(page_number);
        if (page != nullptr) (*page)->for_each([&](std::uint64_t key, const Value& value) { visit(key, value); });
    }

    /// Calls visit(key) for each key from `first` to `last`, in order; `visit` may erase what it
    /// visits. What it costs follows what is in the table, never how far apart the two are: both
    /// may be hearsay.
    template <typename Visit>
    void for_each_within(std::uint64_t first, std::uint64_t last, Visit&& visit) const {
        if (first > last || size_ == 0) return;
        if (last - first <= 2 * size_) {
            for (std::uint64_t key = first; key <= last; ++key) {
                if (contains(key)) visit(key);
            }
            return;
        }
        for (const std::uint64_t key : sorted_keys()) {
            if (first <= key && key <= last) visit(key);
        }
    }

    /// The keys, sorted: for those who insert or erase on the way.
    [[nodiscard]] std::vector<std::uint64_t> sorted_keys() const {
        std::vector<std::uint64_t> keys;
        keys.reserve(size_);
        for_each_in_order([&](std::uint64_t key, const Value&) { keys.push_back(key); });
        return keys;
    }

private:
    static constexpr std::uint64_t kPage = 16;

    struct Page {
        explicit Page(std::uint64_t page_number) : number(page_number) {}
        ~Page() {
            for_each([](std::uint64_t, Value& value) { std::destroy_at(&value); });
        }
        Page(const Page&) = delete;
        Page& operator=(const Page&) = delete;

        [[nodiscard]] bool has(std::uint64_t i) const { return (used >> i & 1U) != 0; }
        [[nodiscard]] Value* at(std::uint64_t i) { return &values[i]; }
        template <typename Visit>
        void for_each(Visit&& visit) {
            for (std::uint32_t left = used; left != 0; left &= left - 1) {
                const auto i = static_cast<std::uint64_t>(std::countr_zero(left));
                visit(number * kPage + i, *at(i));
            }
        }

        const std::uint64_t number;  // the keys are number * kPage and those that follow
        std::uint32_t used = 0;      // a bit for each value that is there
        union {
            Value values[kPage];  // those whose bit is set
        };
    };

    /// `Value()` would fill one whose constructor is implicit with zeros first.
    static Value* make(Value* at) {
        if constexpr (std::is_trivially_default_constructible_v<Value>) {
            return std::construct_at(at);
        } else {
            return ::new (static_cast<void*>(at)) Value;
        }
    }
    /// Most look-ups follow one in the same page.
    [[nodiscard]] Page* page_of(std::uint64_t number) {
        if (last_ != nullptr && last_->number == number) return last_;
        std::unique_ptr<Page>* page = pages_.find(number);
        if (page == nullptr) return nullptr;
        return last_ = page->get();
    }
    [[nodiscard]] std::vector<std::pair<std::uint64_t, Page*>> sorted_pages() {
        // With their numbers, so that sorting looks at no page
        std::vector<std::pair<std::uint64_t, Page*>> pages;
        pages.reserve(pages_.size());
        pages_.for_each(
            [&](std::uint64_t number, std::unique_ptr<Page>& page) { pages.emplace_back(number, page.get()); });
        std::ranges::sort(pages);
        return pages;
    }
    Page* add_page(std::uint64_t number) { return last_ = pages_.insert(number, std::make_unique<Page>(number)).get(); }
    void remove_page(Page* page) {
        last_ = nullptr;
        pages_.erase(page->number);
    }

    NumberMap<std::unique_ptr<Page>> pages_;
    Page* last_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace curfew
