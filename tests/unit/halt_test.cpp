// When a batch ends early: a number of tasks that did not complete, or a share of those that have
// their outcome.
#include "broker/halt.h"

#include <gtest/gtest.h>

namespace curfew {
namespace {

Books books_of(std::uint64_t completed, std::uint64_t failed, std::uint64_t expired = 0, std::uint64_t in_flight = 5) {
    Books books;
    books.outcomes[static_cast<std::size_t>(Outcome::completed)] = completed;
    books.outcomes[static_cast<std::size_t>(Outcome::failed)] = failed;
    books.outcomes[static_cast<std::size_t>(Outcome::expired)] = expired;
    books.tasks_in_flight = in_flight;
    books.accepted = completed + failed + expired + in_flight;
    return books;
}

TEST(Halt, IsDueWhenSoManyTasksFailedOrExpired) {
    const Halt halt{.tasks = 3};
    EXPECT_FALSE(halt.is_due(books_of(100, 1, 1)));
    EXPECT_TRUE(halt.is_due(books_of(100, 2, 1)));
    EXPECT_TRUE(halt.is_due(books_of(0, 0, 9)));
    EXPECT_TRUE(Halt{.tasks = 1}.is_due(books_of(0, 1)));
    EXPECT_FALSE(Halt{.tasks = 1}.is_due(books_of(0, 0)));
}

TEST(Halt, AShareIsOfTheTasksThatHaveTheirOutcome) {
    const Halt halt{.share = 0.1};
    EXPECT_FALSE(halt.is_due(books_of(28, 3, 0, 1000)));
    EXPECT_TRUE(halt.is_due(books_of(27, 3, 0, 1000)));
    EXPECT_TRUE(Halt{.share = 1}.is_due(books_of(0, 3)));
    EXPECT_FALSE(Halt{.share = 1}.is_due(books_of(1, 3)));
}

TEST(Halt, OfAShareTheFirstTwoThatFailSayNothing) {
    const Halt halt{.share = 0.01};
    EXPECT_FALSE(halt.is_due(books_of(0, 0)));
    EXPECT_FALSE(halt.is_due(books_of(0, 2)));
    EXPECT_TRUE(halt.is_due(books_of(0, 2, 1)));
}

TEST(Halt, WhatAPersonHasCancelledDoesNotCount) {
    Books books = books_of(0, 2);
    books.outcomes[static_cast<std::size_t>(Outcome::cancelled)] = 10;
    books.accepted += 10;
    EXPECT_FALSE(Halt{.tasks = 3}.is_due(books));
    EXPECT_FALSE(Halt{.share = 0.1}.is_due(books));
}

}  // namespace
}  // namespace curfew
